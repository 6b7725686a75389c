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

/** Where one version stands, complete or not. */
export const serverDirectory = (version: number): string => join(serverCacheDir(), `postgresql-${version}`);

/** Written last, with the directory of the programs as its text: a server without it is torn and made anew. */
export const completeMarker = (version: number): string => join(serverDirectory(version), '.complete');

/** The cached server of one major version, or undefined. */
export const findCachedServer = (version: number): CachedServer | undefined => {
  const marker = completeMarker(version);
  if (!existsSync(marker)) return undefined;
  const binDir = readFileSync(marker, 'utf8').trim();
  return existsSync(join(binDir, 'postgres')) ? { version, binDir } : undefined;
};
