import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCachedServer, serverCacheDir } from './server-versions/cache.js';

export interface PostgresPrograms {
  /** Major version. */
  readonly version: number;
  readonly binDir: string;
}

/** Major versions that dbbackup supports and `findServer` finds or installs. */
export const supportedVersions = [13, 14, 15, 16, 17, 18] as const;

const base = '/usr/lib/postgresql';

const isServer = (binDir: string): boolean => {
  try {
    for (const program of ['initdb', 'postgres', 'psql', 'pg_dump']) accessSync(join(binDir, program), constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** PostgreSQL servers that Debian’s packages installed, oldest first. */
export const installedServers = (): readonly PostgresPrograms[] =>
  existsSync(base)
    ? readdirSync(base)
        .map((name) => ({ version: Number(name), binDir: join(base, name, 'bin') }))
        .filter(({ version, binDir }) => Number.isInteger(version) && isServer(binDir))
        .sort((a, b) => a.version - b.version)
    : [];

const findWithoutInstalling = (version: number): PostgresPrograms | undefined =>
  installedServers().find((server) => server.version === version) ?? findCachedServer(String(version));

/** Versions whose packages hold a server alone take the client tools of this one. */
const clientVersions: Readonly<Record<number, number>> = { 13: 15, 14: 15, 16: 17 };

/** Installs a server into the cache by its name there. Two processes that want the same wait for each other; a lock ends with its holder. */
const installServer = (name: string, clientBinDir: string): PostgresPrograms => {
  mkdirSync(serverCacheDir(), { recursive: true, mode: 0o755 });
  const program = fileURLToPath(new URL('server-versions/install.js', import.meta.url));
  const lock = join(serverCacheDir(), `postgresql-${name}.lock`);
  const result = spawnSync('flock', [lock, process.execPath, program, name, clientBinDir], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`PostgreSQL ${name} could not be installed: ${result.error?.message ?? result.stderr.trim()}`);
  const installed = findCachedServer(name);
  if (installed === undefined) throw new Error(`PostgreSQL ${name} was installed, but is not in ${serverCacheDir()}`);
  return installed;
};

/**
 * The server of one major version, or the newest that Debian's packages installed. A version that is nowhere is installed into the cache first: some seconds, once.
 * Its programs include psql, pg_dump, pg_restore and pg_dumpall, of that version or the nearest newer one that can be had.
 */
export const findServer = (version?: number): PostgresPrograms => {
  if (version === undefined) {
    const newest = installedServers().at(-1);
    if (newest === undefined) throw new Error(`no PostgreSQL server below ${base}`);
    return newest;
  }
  const found = findWithoutInstalling(version);
  if (found !== undefined) return found;
  const clientVersion = clientVersions[version];
  return installServer(String(version), clientVersion === undefined ? '' : findServer(clientVersion).binDir);
};

/** A server that offers PostGIS and pgvector as well; installed into the cache first where it is not there. */
export const findServerWithExtensions = (): PostgresPrograms => findCachedServer('17-extensions') ?? installServer('17-extensions', '');
