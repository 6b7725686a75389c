import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';

export interface PostgresPrograms {
  /** Major version. */
  readonly version: number;
  readonly binDir: string;
}

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
  readdirSync(base)
    .map((name) => ({ version: Number(name), binDir: join(base, name, 'bin') }))
    .filter(({ version, binDir }) => Number.isInteger(version) && isServer(binDir))
    .sort((a, b) => a.version - b.version);

/** The installed server of one major version, or the newest. */
export const findServer = (version?: number): PostgresPrograms => {
  const found = installedServers().findLast((server) => version === undefined || server.version === version);
  if (found === undefined) throw new Error(`no PostgreSQL server${version === undefined ? '' : ` ${version}`} below ${base}`);
  return found;
};
