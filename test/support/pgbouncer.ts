import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, findFreePort } from './cluster.js';
import { findServerUser } from './server-user.js';
import { serverCacheDir } from './server-versions/cache.js';
import { findLoader, unpackFromSuite } from './server-versions/debian-suite.js';
import { withTemporaryDirectory } from './temporary-directory.js';

/** Debian's PgBouncer, unpacked into the cache once: some seconds, 5 MB. */
const installPgBouncer = (): string => {
  const directory = join(serverCacheDir(), 'pgbouncer');
  const root = join(directory, 'root');
  if (existsSync(root)) return root;
  const fresh = `${directory}.${process.pid}`;
  mkdirSync(fresh, { recursive: true, mode: 0o755 });
  unpackFromSuite(fresh, 'bookworm', ['pgbouncer']);
  rmSync(directory, { recursive: true, force: true });
  renameSync(fresh, directory);
  return root;
};

const waitUntilOpen = async (port: number, child: ChildProcess, said: () => string): Promise<void> => {
  for (let tries = 0; tries < 600; tries += 1) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (isOpen) return;
    if (child.exitCode !== null) break;
    await sleep(50);
  }
  throw new Error(`PgBouncer did not start: ${said()}`);
};

/** Runs `fn` with the port of a PgBouncer at 127.0.0.1 before the cluster, whose superuser everybody becomes. */
export const withPgBouncer = (
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
  fn: (port: number) => Promise<void>,
): Promise<void> =>
  withTemporaryDirectory(async (directory) => {
    const root = installPgBouncer();
    const { loader, libraries } = findLoader(root);
    const port = await findFreePort();
    const path = join(directory, 'pgbouncer.ini');
    const lines = {
      listen_addr: '127.0.0.1',
      listen_port: String(port),
      unix_socket_dir: '',
      auth_type: 'any',
      ignore_startup_parameters: 'extra_float_digits,options',
      ...settings,
    };
    writeFileSync(
      path,
      `[databases]\n* = host=127.0.0.1 port=${cluster.port} user=postgres\n[pgbouncer]\n${Object.entries(lines)
        .map(([name, value]) => `${name} = ${value}\n`)
        .join('')}`,
    );
    // PgBouncer refuses root, as the server does.
    const user = findServerUser();
    if (user !== undefined) for (const owned of [directory, path]) chownSync(owned, user.uid, user.gid);
    let said = '';
    const child = spawn(loader, ['--library-path', libraries, join(root, 'usr/sbin/pgbouncer'), path], {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(user === undefined ? {} : user),
    });
    const ended = new Promise((resolve) => child.on('close', resolve));
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    try {
      await waitUntilOpen(port, child, () => said);
      await fn(port);
    } finally {
      child.kill('SIGTERM');
      await ended;
    }
  });
