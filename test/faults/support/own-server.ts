import { chownSync, cpSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runChildOrThrow } from '../../support/child.js';
import { type Cluster, toCluster } from '../../support/cluster.js';
import { findServer } from '../../support/postgres-programs.js';
import { type Postmaster, startPostmaster } from '../../support/postmaster.js';
import { findServerUser } from '../../support/server-user.js';

/** A cluster whose server can be stopped and started again, with its data. Reached by its Unix socket alone. */
export interface OwnServer {
  readonly cluster: Cluster;
  start(): Promise<void>;
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
}

export interface OwnServerOptions {
  /** Arguments of initdb. */
  readonly initArgs?: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
  /** Extensions that this installation offers; default: all that are installed. */
  readonly extensions?: readonly string[];
}

const port = 5432;

/**
 * A second installation of the server whose directory of extensions holds fewer of them: `postgres` looks for its files relative to itself, so that a copy of the
 * program beside links to everything else is one.
 */
const makeInstallation = (binDir: string, directory: string, extensions: readonly string[]): string => {
  const { version } = findServer();
  const share = join(directory, 'share/postgresql', String(version));
  const lib = join(directory, 'lib/postgresql', String(version));
  const installedShare = `/usr/share/postgresql/${version}`;
  mkdirSync(join(share, 'extension'), { recursive: true });
  mkdirSync(join(lib, 'bin'), { recursive: true });
  for (const name of readdirSync(installedShare)) if (name !== 'extension') symlinkSync(join(installedShare, name), join(share, name));
  for (const name of readdirSync(join(installedShare, 'extension'))) {
    const isOffered = extensions.some((extension) => name === `${extension}.control` || name.startsWith(`${extension}--`));
    if (isOffered) symlinkSync(join(installedShare, 'extension', name), join(share, 'extension', name));
  }
  symlinkSync(join(binDir, '../lib'), join(lib, 'lib'));
  cpSync(join(binDir, 'postgres'), join(lib, 'bin/postgres'));
  return join(lib, 'bin');
};

/** Runs `fn` with a server of its own and removes it afterwards. */
export const withOwnServer = async (options: OwnServerOptions, fn: (server: OwnServer) => Promise<void>): Promise<void> => {
  const { version, binDir } = findServer();
  const user = findServerUser();
  const directory = mkdtempSync('/tmp/dbbackup-');
  const dataDir = join(directory, 'data');
  const logPath = join(directory, 'server.log');
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  let postmaster: Postmaster | undefined;
  const stop: OwnServer['stop'] = async (mode = 'fast') => postmaster?.stop(mode);
  try {
    const initArgs = ['-D', dataDir, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'];
    await runChildOrThrow(join(binDir, 'initdb'), [...initArgs, ...(options.initArgs ?? [])], { cwd: directory, ...user });
    const settings = { listen_addresses: '', port, unix_socket_directories: directory, fsync: 'off', ...options.settings };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    writeFileSync(join(dataDir, 'postgresql.auto.conf'), lines.join(''));
    const { extensions } = options;
    const serverBinDir = extensions === undefined ? binDir : makeInstallation(binDir, join(directory, 'installation'), extensions);
    const start = async (): Promise<void> => {
      postmaster = await startPostmaster({ binDir: serverBinDir, dataDir, logPath, user, directories: [] });
    };
    await start();
    const cluster = toCluster({ version, binDir, host: directory, port, dataDir, logPath, pid: postmaster?.pid ?? 0 });
    await fn({ cluster, start, stop });
  } finally {
    await stop('immediate');
    await rm(directory, { recursive: true, force: true });
  }
};
