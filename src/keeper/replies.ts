import { DbbackupError, type ErrorDetails } from '../core/errors.js';
import { toErrorCode } from '../native/native-call.js';
import { FieldReader, type Frame } from './frames.js';

/** What a keeper tells about itself. */
export interface KeeperState {
  /** The backup. */
  readonly id: string;
  /** Name of the database it is connected to. */
  readonly database: string;
  readonly pid: number;
  /** Of the server process that serves it. */
  readonly backendPid: number;
  /** Milliseconds since 1970, UTC. */
  readonly startedAtMs: number;
  /** How long it stays without an attached client, in milliseconds. */
  readonly ttlMs: number;
  /** Of the process whose queries it takes; null when there is none. */
  readonly attachedPid: number | null;
  /** Until it ends unless somebody attaches, in milliseconds; null while somebody is. */
  readonly endsInMs: number | null;
  /** True once its session holds what is worth keeping. */
  readonly isHolding: boolean;
  readonly isRunning: boolean;
  /** What its last ping read: the age of its snapshot in transactions; null before the first one, and where that cannot be read. */
  readonly pinged: string | null;
  /** What the starter had it remember; null before the session holds anything. */
  readonly note: string | null;
}

const never = 0xffffffff;

export const parseState = (frame: Frame): KeeperState => {
  const fields = new FieldReader(frame);
  const id = fields.text();
  const database = fields.text();
  const pid = fields.number();
  const backendPid = fields.number();
  const startedAtMs = Number(fields.text());
  const ttlMs = fields.number();
  const attachedPid = fields.number() || null;
  const endsIn = fields.number();
  const isHolding = fields.number() === 1;
  const isRunning = fields.number() === 1;
  return {
    id,
    database,
    pid,
    backendPid,
    startedAtMs,
    ttlMs,
    attachedPid,
    endsInMs: endsIn === never ? null : endsIn,
    isHolding,
    isRunning,
    pinged: fields.textOrNull(),
    note: fields.textOrNull(),
  };
};

const detailNames = ['severity', 'sqlstate', 'detail', 'hint', 'position', 'schema', 'table'] as const;

/** The error that a keeper tells: the server's with its fields, or its own. */
export const parseError = (frame: Frame): DbbackupError => {
  const fields = new FieldReader(frame);
  const code = fields.text();
  const message = fields.text();
  const details: ErrorDetails = Object.fromEntries(detailNames.map((name) => [name, fields.text()]).filter(([, value]) => value !== ''));
  return new DbbackupError(toErrorCode(code, message, details), message, { details });
};
