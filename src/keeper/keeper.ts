import { unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DbbackupError } from '../core/errors.js';
import { processHost } from '../native/host.js';
import type { ConnectionSpec, QueryResult } from '../native/session.js';
import { type KeeperChannel, openChannel } from './channel.js';
import { KeeperSession } from './keeper-session.js';
import { isOwnDirectory, makeOwnDirectory, toSocketPaths } from './place.js';
import { startProgram } from './program.js';
import type { KeeperState } from './replies.js';

export interface KeeperInfo {
  /** Of the keeper's process. */
  readonly pid: number;
  /** Of the server process that serves its session, and when that began (ISO 8601, UTC, microseconds): the two name it for as long as the server runs. */
  readonly backendPid: number;
  readonly backendStart: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly socketPath: string;
}

/**
 * A process of its own that keeps one session with a server, attached to this process, which alone may use it. It lives on when this process dies, and ends by itself:
 * with its connection to the server, or when nobody has been attached for its time to live.
 */
export interface Keeper {
  readonly session: { query(sql: string, params?: readonly (string | null)[]): Promise<QueryResult> };
  readonly info: KeeperInfo;
  /** What it tells about itself now. Errors: `connection_lost` when it has ended. */
  readState(): Promise<KeeperState>;
  /**
   * The session now holds what is worth keeping: until this call the keeper ends with its client. `pingSql` is run every 30 seconds when nothing else is, in the
   * session as it then is; an error of it ends an open transaction.
   */
  hold(pingSql: string): Promise<void>;
  /** Ends it with its session; resolves when both have ended. Does nothing when they have. */
  stop(): Promise<void>;
  /** Lets go of it: it stays for its time to live, for whoever attaches. */
  leave(): Promise<void>;
}

export interface KeeperStart {
  /** The backup. */
  readonly id: string;
  /** Number of the database within the backup. */
  readonly database: number;
  /** What lists call the database. */
  readonly databaseName: string;
  readonly connection: ConnectionSpec;
  /** How long it stays without an attached client. */
  readonly ttlMs: number;
  /** Default: 30 seconds. */
  readonly pingMs?: number;
  /** Aborting ends the start; afterwards queries reject with `cancelled`, and the keeper is there to be stopped or left. */
  readonly signal?: AbortSignal | undefined;
}

/** A server that has gone shows within this time; one ping costs a round trip. */
const defaultPingMs = 30_000;

/**
 * Starts a keeper, which connects, and attaches to it. Errors: those of connecting, `locked` when there is a keeper of this database and backup already,
 * `not_writable` when no socket can be made, `addon_unavailable`, `cancelled`.
 */
export const startKeeper = async (start: KeeperStart): Promise<Keeper> => {
  const { id, database, databaseName, connection, ttlMs, pingMs = defaultPingMs, signal } = start;
  const socketPath = await makePlace(id, database);
  await removeStale(socketPath);
  await startProgram({ id, databaseName, socketPath, ttlMs, pingMs, connection, signal });
  const channel = await openChannel(socketPath);
  if (channel === null) throw new DbbackupError('connection_lost', 'the keeper ended right after its start');
  try {
    const state = await channel.attach();
    const { rows } = await channel.query(backendStartQuery);
    return toKeeper(channel, state, socketPath, rows[0]?.[0] ?? '', signal);
  } catch (error) {
    await channel.stop();
    throw error;
  }
};

/**
 * Attaches to the keeper of a backup's database; null when there is none. Errors: `locked` when another process is attached.
 */
export const attachKeeper = async ({ id, database, signal }: Pick<KeeperStart, 'id' | 'database' | 'signal'>): Promise<Keeper | null> => {
  for (const socketPath of toSocketPaths(processHost.environment, id, database)) {
    if (!(await isOwnDirectory(dirname(socketPath)))) continue;
    const channel = await openChannel(socketPath);
    if (channel === null) continue;
    const state = await channel.attach();
    return toKeeper(channel, state, socketPath, state.note ?? '', signal);
  }
  return null;
};

/** As text that no setting of the session changes. Hidden only from another role than the session's. */
const backendStartQuery = `SELECT pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())`;

const toKeeper = (
  channel: KeeperChannel,
  state: KeeperState,
  socketPath: string,
  backendStart: string,
  signal: AbortSignal | undefined,
): Keeper => ({
  session: new KeeperSession(channel, signal),
  info: {
    pid: state.pid,
    backendPid: state.backendPid,
    backendStart,
    startedAt: new Date(state.startedAtMs).toISOString(),
    socketPath,
  },
  readState: () => channel.info(),
  hold: async (pingSql) => {
    await channel.hold(pingSql, backendStart);
  },
  stop: () => channel.stop(),
  leave: () => channel.close(),
});

/** The path of a new socket, in a directory that is there and this user's. */
const makePlace = async (id: string, database: number): Promise<string> => {
  let failure: unknown = new DbbackupError('internal', `the path of the keeper's socket of ${id} is too long`);
  for (const path of toSocketPaths(processHost.environment, id, database)) {
    try {
      await makeOwnDirectory(dirname(path));
      return path;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
};

/** A keeper that was killed leaves its socket's name behind. */
const removeStale = async (path: string): Promise<void> => {
  const channel = await openChannel(path);
  if (channel !== null) {
    await channel.close();
    throw new DbbackupError('locked', `there is a keeper at ${path} already`, { details: { path } });
  }
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
};
