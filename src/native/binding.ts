/**
 * The seam: what the addon exports, as plain data. Only `src/native/*.ts` imports this file.
 *
 * Every promise rejects with an Error that has own properties `code` (one of `errorCodes()`), and where they apply `object`, `severity`, `sqlstate`,
 * `detail`, `hint`, `position`, `schema`, `table`, `errno`, `path`. Counts and sizes are numbers up to 2^53-1; digests and checksums are lower-case hex.
 * An argument of the wrong type or range is thrown at once as a TypeError that names the field, with code `usage`. Strings must not contain NUL.
 */
import type { ChecksumName, CodecName, RowFormat, TaskResult } from '../core/results.js';

/** libpq connection parameters as parallel arrays for `PQconnectdbParams` (`expand_dbname` on): `dbname` may be a name, a URI or a keyword string. */
export interface ConnectionSpec {
  readonly keywords: readonly string[];
  readonly values: readonly string[];
}

/** How a worker's connection is set up. Workers keep a connection open as long as consecutive tasks ask for the same `key`. */
export interface SessionSpec {
  readonly key: string;
  readonly connection: ConnectionSpec;
  /** Statements run once after connecting, in order. */
  readonly setupSql: readonly string[];
  /** A query of one value, run after them, that must equal `guardExpected`, else `snapshot_invalid`; null for none. */
  readonly guardSql: string | null;
  readonly guardExpected: string | null;
}

/** One COPY TO STDOUT. `name` is how errors and progress name it. */
export interface CopyOutSource {
  readonly name: string;
  /** Runs before the COPY, for example `LOCK TABLE … NOWAIT`; null for none. */
  readonly lockSql: string | null;
  /** A query of one value that must equal `checkExpected`, else `relation_changed`; null for none. */
  readonly checkSql: string | null;
  readonly checkExpected: string | null;
  readonly copySql: string;
  readonly format: RowFormat;
}

export interface FileSinkSpec {
  /** Absolute directory; the files' `path` in the result is relative to it. */
  readonly directory: string;
  /** Path of part 1 is `${stem}-p001${extension}`. */
  readonly stem: string;
  readonly extension: string;
  readonly codec: CodecName;
  readonly level: number;
  readonly checksum: ChecksumName;
  /** Stored bytes after which the task goes on in a next part, at a frame end that is a row end. */
  readonly maxStoredBytes: number;
  /** Try O_DIRECT; falls back where the file system refuses. */
  readonly isDirect: boolean;
}

/** Reads sources one after the other into data files. `sink: null` computes digests only. */
export interface CopyOutTask {
  readonly kind: 'copyOut';
  readonly taskId: number;
  readonly session: SessionSpec;
  readonly sources: readonly CopyOutSource[];
  readonly sink: FileSinkSpec | null;
}

/** A segment to be read: `docs/format.md` section 3. */
export interface SegmentSpec {
  readonly name: string;
  readonly offset: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly rowCount: number;
  readonly digest: string;
  readonly format: RowFormat;
}

export interface CopyInSegment extends SegmentSpec {
  /** Absolute path of the data file. */
  readonly path: string;
  readonly codec: CodecName;
  /** Statements run one by one before the COPY, the first usually `BEGIN`, and after the rows and their digest proved right, usually `COMMIT` alone. */
  readonly beginSql: readonly string[];
  readonly copySql: string;
  readonly endSql: readonly string[];
}

/** Loads segments one after the other, each in its own transaction. A segment whose digest differs is rolled back: `data_damaged`. */
export interface CopyInTask {
  readonly kind: 'copyIn';
  readonly taskId: number;
  readonly session: SessionSpec;
  readonly segments: readonly CopyInSegment[];
}

/** Reads one data file and proves it: size, checksum, every frame, row counts and digests of its segments. Damage is a finding, not an error. */
export interface CheckTask {
  readonly kind: 'check';
  readonly taskId: number;
  /** Absolute path. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly checksum: string;
  readonly checksumName: ChecksumName;
  readonly codec: CodecName;
  readonly segments: readonly SegmentSpec[];
}

export type TaskSpec = CopyOutTask | CopyInTask | CheckTask;

export interface EngineOptions {
  /** Tasks that run at the same time, each with a connection and threads of its own. */
  readonly workerCount: number;
  /** Threads that compress, shared by all workers. */
  readonly encoderCount: number;
  /** Blocks of 1 MiB + 64 KiB for each worker, at least 4: the memory limit of the data path. */
  readonly blocksPerWorker: number;
  /** Raw bytes that all workers together read from the server, a second; 0: no limit. */
  readonly maxBytesPerSecond: number;
}

/** Counters since the engine was opened, and what each busy worker is doing. */
export interface EngineStats {
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly rowCount: number;
  readonly workers: readonly { readonly taskId: number; readonly source: number; readonly rawBytes: number; readonly rowCount: number }[];
}

export interface WorkerProbe {
  /** Of the server process; 0 while there is no connection. */
  readonly backendPid: number;
  /** Bytes that have arrived and were not read yet: 0 when it is the worker that waits. */
  readonly unreadBytes: number;
}

export interface EngineHandle {
  run(task: TaskSpec): Promise<TaskResult>;
  stats(): EngineStats;
  /** What the worker of a running task is at; null when none is at it. */
  probe(taskId: number): WorkerProbe | null;
  /** Cuts the connection of a running task, which then rejects with `connection_lost`. False when it has none. */
  sever(taskId: number): boolean;
  /** Stops all running tasks; their promises reject with `cancelled` within two seconds. The engine can run no further task. */
  stop(): void;
  /** Stops, joins all threads, then resolves. */
  close(): Promise<void>;
}

export interface QueryResult {
  readonly columns: readonly string[];
  /** Text format; null is SQL NULL. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Command tag, for example `SELECT 3`. */
  readonly command: string;
}

export interface SessionInfo {
  readonly serverVersion: number;
  readonly backendPid: number;
  readonly host: string;
  readonly port: string;
  readonly user: string;
  readonly database: string;
  readonly clientEncoding: string;
  readonly isTls: boolean;
  /** Effective connection options as libpq reports them, secrets left out (`PQconninfo`). */
  readonly options: Readonly<Record<string, string>>;
  /** True when a password was used; `password()` returns it for the environment of client tools, never to be logged. */
  readonly hasPassword: boolean;
}

/** A control connection with a thread of its own. Queries run one after the other. */
export interface SessionHandle {
  /** Extended protocol when `params` is given (one statement), simple protocol otherwise (several allowed; the last result is returned). */
  query(sql: string, params?: readonly (string | null)[]): Promise<QueryResult>;
  info(): SessionInfo;
  password(): string | null;
  /** NOTICE and WARNING messages received since the last call, at most 100. */
  notices(): readonly string[];
  /** Cancels the running query, if any, and makes further ones reject with `cancelled`. */
  stop(): void;
  close(): Promise<void>;
}

export interface Binding {
  /** Codes the addon may throw; a test compares them with the catalogue. */
  errorCodes(): readonly string[];
  /** The database that a connection parameter names. Throws `usage` for a string libpq cannot read. */
  databaseOf(connection: string): string;
  versions(): { readonly libpq: number; readonly zstd: string; readonly openssl: string };
  /** `onStarted` is called before this returns, with the handle that will be connected, so that `stop()` can end the attempt. */
  openSession(connection: ConnectionSpec, onStarted?: (handle: SessionHandle) => void): Promise<SessionHandle>;
  openEngine(options: EngineOptions): EngineHandle;
  /** XXH3-128 or SHA-256 of a file, on a thread of its own. `onStarted` is called before this returns, with what ends it as `cancelled`. */
  hashFile(path: string, checksum: ChecksumName, onStarted?: (stop: () => void) => void): Promise<string>;
  /** Stops and joins everything that this thread opened, synchronously: for `process.on('exit')`. What is open afterwards is `cancelled`. */
  stopAll(): void;
}
