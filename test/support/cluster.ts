import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificates, makeCertificates } from './certificates.js';
import { runChildOrThrow } from './child.js';
import { type Login, scramLogin, superuserLogin, tlsLogin, toConnectionEnv, toConnectionUri, withoutConnectionEnv } from './login.js';
import { findServer, type PostgresPrograms } from './postgres-programs.js';
import { type Postmaster, StartError, type StopMode, startPostmaster } from './postmaster.js';
import { findServerUser, type ServerUser } from './server-user.js';

export interface ClusterOptions {
  /** Major version; default the newest that Debian’s packages installed. */
  readonly version?: number;
  /** A server that was found before, instead of `version`. */
  readonly programs?: PostgresPrograms;
  /** Lines of postgresql.conf, for example `{ shared_buffers: '512MB' }`; they win over the defaults here. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Offers TLS with a certificate for `localhost`; `caPath` verifies it, `tlsLogin` needs it. Default false. */
  readonly isTls?: boolean;
  /** What TCP connections of roles other than `scram_user` and `tls_user` need. Default `trust`. The superuser’s socket is always trusted. */
  readonly auth?: 'trust' | 'scram-sha-256';
  /** Where the data directory is created; default the system’s directory for temporary files. */
  readonly baseDir?: string;
  /** False (default) gives up safety against power loss for speed, as tests may; true is what a server in production does. */
  readonly isDurable?: boolean;
  /** A primary of the same version, of which the new cluster becomes a hot standby by streaming replication: its databases, roles and settings are the primary’s. */
  readonly standbyOf?: Cluster;
  /** Page checksums, which make the server notice a damaged page. Default false. */
  readonly hasDataChecksums?: boolean;
}

/** What another process needs to use a running cluster. */
export interface ClusterCoordinates {
  /** Major version. */
  readonly version: number;
  /** Where this version’s programs are. */
  readonly binDir: string;
  /** Directory of the Unix socket. TCP is at 127.0.0.1. */
  readonly host: string;
  readonly port: number;
  readonly caPath?: string;
  readonly dataDir: string;
  /** The server’s log. */
  readonly logPath: string;
  /** Of the postmaster. */
  readonly pid: number;
}

/** A PostgreSQL cluster of its own, gone when the process ends. Its superuser is `postgres`. */
export interface Cluster extends ClusterCoordinates {
  /** Connection URI of a database. */
  uri(database: string, login?: Login): string;
  /** libpq’s `PG*` variables for a database, to be added to an environment. */
  env(database: string, login?: Login): Readonly<Record<string, string>>;
  /** Runs SQL as the superuser with `psql -XAtq`, stopping at the first error; gives what it printed, without the last newline. */
  psql(database: string, sql: string): Promise<string>;
  createDatabase(name: string, options?: string): Promise<void>;
  /** Ends the database’s sessions and drops it. */
  dropDatabase(name: string): Promise<void>;
  /** Stops the server (default `fast`) and removes its directories. Does nothing on a cluster that somebody else started. */
  stop(options?: { readonly mode?: StopMode }): Promise<void>;
}

/** `name` as an SQL identifier. */
export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A Cluster out of its coordinates; `stop` is the owner’s business. */
export const toCluster = (coordinates: ClusterCoordinates, stop: Cluster['stop'] = async () => undefined): Cluster => {
  const env = (database: string, login?: Login): Readonly<Record<string, string>> => toConnectionEnv(coordinates, database, login);
  const psql = async (database: string, sql: string): Promise<string> => {
    const args = ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-'];
    const childEnv = { ...withoutConnectionEnv(process.env), ...env(database), PGCLIENTENCODING: 'UTF8' };
    const output = await runChildOrThrow(join(coordinates.binDir, 'psql'), args, { input: sql, env: childEnv });
    return output.replace(/\n$/, '');
  };
  return {
    ...coordinates,
    uri: (database, login) => toConnectionUri(coordinates, database, login),
    env,
    psql,
    createDatabase: async (name, options = '') => {
      // template1 cannot be copied while another test looks into it, as a backup of all databases does.
      const template = /\bTEMPLATE\b/.test(options) ? '' : 'TEMPLATE template0';
      await psql('postgres', `CREATE DATABASE ${quoteIdentifier(name)} ${template} ${options}`);
    },
    dropDatabase: async (name) => {
      await psql('postgres', `DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`);
    },
    stop,
  };
};

export const findFreePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no free port'))));
    });
  });

const fastButUnsafe = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

const toConfiguration = (options: ClusterOptions, socketDir: string, port: number, certificates: Certificates | undefined): string => {
  const settings: Readonly<Record<string, string>> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: socketDir,
    unix_socket_permissions: '0777',
    max_connections: '100',
    password_encryption: 'scram-sha-256',
    log_destination: 'stderr',
    logging_collector: 'off',
    log_line_prefix: '%m [%p] %q%u@%d ',
    ...(options.isDurable === true ? {} : fastButUnsafe),
    ...(options.standbyOf === undefined
      ? {}
      : { primary_conninfo: `host=${options.standbyOf.host} port=${options.standbyOf.port} user=postgres`, hot_standby: 'on' }),
    ...(certificates === undefined ? {} : { ssl: 'on', ssl_cert_file: certificates.certificatePath, ssl_key_file: certificates.keyPath }),
    ...options.settings,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join('');
};

const toHostBasedAuthentication = (auth: 'trust' | 'scram-sha-256'): string => `local   all all trust
local   replication all trust
hostssl all ${tlsLogin.user} 127.0.0.1/32 scram-sha-256
host    all ${tlsLogin.user} 127.0.0.1/32 reject
host    all ${scramLogin.user} 127.0.0.1/32 scram-sha-256
host    all all 127.0.0.1/32 ${auth}
`;

// PostgreSQL before 14 has no pg_read_all_data.
const createRoles = (version: number): string => `
ALTER ROLE ${superuserLogin.user} PASSWORD '${superuserLogin.password}';
CREATE ROLE ${tlsLogin.user} LOGIN PASSWORD '${tlsLogin.password}';
CREATE ROLE ${scramLogin.user} LOGIN PASSWORD '${scramLogin.password}';
${version >= 14 ? `GRANT pg_read_all_data TO ${tlsLogin.user}, ${scramLogin.user};` : ''}
`;

const own = (path: string, user: ServerUser | undefined): void => {
  if (user !== undefined) chownSync(path, user.uid, user.gid);
};

/** By initdb, or for a standby by copying its primary. */
const fillDataDirectory = async (options: ClusterOptions, binDir: string, dataDir: string, cwd: string): Promise<void> => {
  const childOptions = { cwd, ...findServerUser() };
  if (options.standbyOf !== undefined) {
    const { host, port } = options.standbyOf;
    const source = ['-h', host, '-p', String(port), '-U', 'postgres'];
    await runChildOrThrow(join(binDir, 'pg_basebackup'), [...source, '-D', dataDir, '-X', 'stream', '--checkpoint=fast'], childOptions);
    writeFileSync(join(dataDir, 'standby.signal'), '');
    return;
  }
  const args = ['-D', dataDir, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'];
  await runChildOrThrow(
    join(binDir, 'initdb'),
    [...args, ...(options.hasDataChecksums === true ? ['--data-checksums'] : [])],
    childOptions,
  );
};

/** Creates the data directory and starts the server in it; another process may have taken the port meanwhile, so it is tried three times. */
const startServer = async (options: ClusterOptions, privateDir: string, directories: string[]): Promise<Cluster> => {
  const { version, binDir } = options.programs ?? findServer(options.version);
  const user = findServerUser();
  own(privateDir, user);
  const dataDir = options.baseDir === undefined ? join(privateDir, 'data') : mkdtempSync(join(options.baseDir, 'dbbackup-data-'));
  if (options.baseDir === undefined) mkdirSync(dataDir, { mode: 0o700 });
  else directories.push(dataDir);
  own(dataDir, user);

  await fillDataDirectory(options, binDir, dataDir, privateDir);

  const certificates = options.isTls === true ? await makeCertificates(privateDir) : undefined;
  if (certificates !== undefined) {
    chmodSync(certificates.keyPath, 0o600);
    own(certificates.keyPath, user);
  }
  writeFileSync(join(dataDir, 'pg_hba.conf'), toHostBasedAuthentication(options.auth ?? 'trust'));

  const logPath = join(privateDir, 'server.log');
  for (let attempt = 1; ; attempt += 1) {
    const port = await findFreePort();
    writeFileSync(join(dataDir, 'postgresql.auto.conf'), toConfiguration(options, privateDir, port, certificates));
    let postmaster: Postmaster;
    try {
      postmaster = await startPostmaster({ binDir, dataDir, logPath, user, directories });
    } catch (error) {
      if (attempt < 3 && error instanceof StartError && error.log.includes('Address already in use')) continue;
      throw error;
    }
    const caPath = certificates === undefined ? {} : { caPath: certificates.caPath };
    const coordinates = { version, binDir, host: privateDir, port, dataDir, logPath, pid: postmaster.pid, ...caPath };
    const cluster = toCluster(coordinates, ({ mode } = {}) => postmaster.stop(mode));
    if (options.standbyOf === undefined) await cluster.psql('postgres', createRoles(version));
    return cluster;
  }
};

/**
 * Starts a new cluster: own data directory, Unix socket below /tmp, a free TCP port on 127.0.0.1, `C.UTF-8`, as an unprivileged user when this process is root.
 * It is stopped and removed by `stop()`, and in any case when the process ends or is interrupted. Cost: about a second, 40 MB of disk.
 */
export const startCluster = async (options: ClusterOptions = {}): Promise<Cluster> => {
  // A socket’s path has at most 107 bytes: the directory stays below /tmp even where TMPDIR is long.
  const privateDir = mkdtempSync(join(tmpdir().length < 40 ? tmpdir() : '/tmp', 'dbbackup-'));
  const directories = [privateDir];
  try {
    return await startServer(options, privateDir, directories);
  } catch (error) {
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
    throw error;
  }
};

/** Runs `fn` with a new cluster and stops it afterwards. */
export const withCluster = async <T>(fn: (cluster: Cluster) => Promise<T>, options: ClusterOptions = {}): Promise<T> => {
  const cluster = await startCluster(options);
  try {
    return await fn(cluster);
  } finally {
    await cluster.stop();
  }
};
