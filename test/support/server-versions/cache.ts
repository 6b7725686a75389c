import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A server that was installed on demand, outside the checkout and outside the system's own directories. */
export interface CachedServer {
  /** Major version. */
  readonly version: number;
  /** Where its programs are; client tools that the server's own packages lack are links to the nearest newer ones. */
  readonly binDir: string;
}

/** Holds the servers; the user they run as must be able to read it, so root's own home does not serve. */
export const serverCacheDir = (): string =>
  process.getuid?.() === 0 ? '/var/cache/dbbackup' : join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'dbbackup');

/** Where a server of this name stands, complete or not. The name is a major version, or one with what was added to it: `17-extensions`. */
export const serverDirectory = (name: string): string => join(serverCacheDir(), `postgresql-${name}`);

/** Written last, with the directory of the programs as its text: a server without it is torn and made anew. */
export const completeMarker = (name: string): string => join(serverDirectory(name), '.complete');

/** The cached server of one name, or undefined. */
export const findCachedServer = (name: string): CachedServer | undefined => {
  const marker = completeMarker(name);
  if (!existsSync(marker)) return undefined;
  const binDir = readFileSync(marker, 'utf8').trim();
  return existsSync(join(binDir, 'postgres')) ? { version: Number.parseInt(name, 10), binDir } : undefined;
};
