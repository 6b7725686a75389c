/** What the commands take and return: the public contract of the library. The CLI builds these objects and renders these reports, nothing else. */
import type { EventListener } from '../core/events.js';
import type { ChecksumName, CodecName } from '../core/results.js';
import type { SelectionOptions } from '../core/selection.js';
import type { BackupFacts } from '../manifest/facts.js';
import type { Manifest } from '../manifest/schema.js';
import type { LockQueueMode } from './lock-courtesy.js';

/** What every command takes as its second argument. */
export interface RunContext {
  /** Aborting it ends the run within two seconds with the error `cancelled`; nothing half-written is published. Default: the run cannot be cancelled. */
  readonly signal?: AbortSignal;
  /** Called with each Event as it happens, on the event loop. Must not throw and should return quickly. Default: nobody listens. */
  readonly onEvent?: EventListener;
}

/** How to reach a server. What is left out comes from the environment (`PGHOST` …), `pg_service.conf` and `.pgpass`, as with every libpq program. */
export interface ConnectionOptions {
  /** A database name, a URI (`postgres://…`) or a keyword string (`host=… dbname=…`). In a restore it names the target. */
  readonly database: string;
  /** Host name or directory of the Unix socket; overrides what `database` says. Default: libpq's. */
  readonly host?: string;
  /** Port, or a comma-separated list of ports beside a list of hosts. Default: libpq's (5432). */
  readonly port?: string;
  /** Default: libpq's (the operating system's user). */
  readonly user?: string;
  /** Overrides every other source of a password. Reaches the server and the environment of client tools only: never argv, a log, an error or the manifest. */
  readonly password?: string;
  /** Never ask for a password: a server that wants one and finds none in the environment or `.pgpass` refuses the connection. Default: false. */
  readonly noPassword?: boolean;
  /** A role to become (SET ROLE) in every session, right after connecting. Default: the user itself. */
  readonly role?: string;
}

/** What of an object beside itself is saved or restored; a library's way to say `--no-owner` and `--no-privileges`. */
export interface OwnershipOptions {
  /** All objects belong to the role that restores them. Default: false. */
  readonly isOwnerDropped?: boolean;
  /** GRANT and REVOKE are left out. Default: false. */
  readonly arePrivilegesDropped?: boolean;
}

/** Codec and level of the data files. */
export interface CompressionOptions {
  readonly codec: CodecName;
  /** zstd 1–22, gzip 1–12; 0 for lz4 and none, which have no levels. */
  readonly level: number;
}

export interface BackupOptions extends OwnershipOptions {
  readonly connection: ConnectionOptions;
  /** The repository, created when it does not exist. */
  readonly outputDir: string;
  /** Tasks that run at the same time, each with a connection of its own; one more connection holds the snapshot. Default: the number of cores, at least 4 and at most 8. */
  readonly jobs?: number;
  /** Estimated raw bytes of a chunk and upper bound of a data file's stored bytes. Smaller spreads a table over more workers and files. Default: 1 GiB. */
  readonly chunkSizeBytes?: number;
  /** Default: zstd at level 1. A level above 6 is lowered to 6 unless `isLevelForced`. */
  readonly compression?: CompressionOptions;
  /** Take a level above 6 as it is: some per cent smaller, many times slower. Default: false. */
  readonly isLevelForced?: boolean;
  /** COPY format: `auto` decides for each table; `binary` and `text` override that where the column types make it safe. Default: `auto`. */
  readonly format?: 'auto' | 'binary' | 'text';
  /** Checksum of the data files. `sha256` is cryptographic and costs up to a third of the run on incompressible data. Default: `xxh3-128`. */
  readonly checksum?: ChecksumName;
  /**
   * Bound for the resident memory of this process; lower leaves fewer blocks for each job, too low is `memory_limit_too_small`.
   * Default: 144 MiB, exceeded where that many jobs cannot run in it.
   */
  readonly memoryLimitBytes?: number;
  /**
   * How long to wait for a relation that another session has locked, in milliseconds, then `lock_not_available`. 0 waits for ever.
   * Default: the snapshot waits for ever; pg_dump, whose locks are held by then unless somebody queued in between, 30 seconds.
   */
  readonly lockTimeoutMs?: number;
  /**
   * What to do when another session waits for a lock that the backup holds, and makes all readers wait behind it: `warn` tells, reads that relation last, and fails once it could not for
   * `lockTimeoutMs` (default: 5 minutes; 0 for ever); `fail` fails at once; `yield` ends the run at once with `lock_yielded`, so that snapshot and locks are given up. Default: `warn`.
   */
  readonly onLockQueue?: LockQueueMode;
  /**
   * How long a database may take from its snapshot on, in milliseconds, then `timeout`; 0 for no limit. Of databases that are read together the sum counts.
   * Default: 2 hours, or three times the time for the estimated bytes at 20 MB a second where that is longer.
   */
  readonly timeoutMs?: number;
  /** When nothing of a task has come for so long, in milliseconds, the server is asked, and its connection cut where the server is not at work; 0: never. Default: 2 minutes. */
  readonly stallTimeoutMs?: number;
  /** Directory of pg_dump. Default: the newest suitable one of the usual places and `PATH`. */
  readonly pgBinDir?: string;
  /** Which part of the database is saved. Default: everything. */
  readonly selection?: SelectionOptions;
  /** Rows of unlogged tables are not saved. Default: false. */
  readonly isUnloggedDataLeftOut?: boolean;
  /** Whether large objects are saved. Default: with everything, and not where tables or schemas are named, as pg_dump does. */
  readonly hasLargeObjects?: boolean;
  /**
   * Whether the snapshot and its locks are held by a process of its own, which survives this one, so that the run can be continued exactly where it was. Without it the
   * snapshot ends with this process. Default: true.
   */
  readonly hasKeeper?: boolean;
  /** How long that process waits, once this one has gone, for the run to be continued, in milliseconds. Default: one hour. */
  readonly keeperTtlMs?: number;
  /** Raw bytes that are read from the server in a second, by all jobs together. Default: no limit. */
  readonly maxBytesPerSecond?: number;
  /** Leave out the quick checks of server and machine that run before the backup. Default: false. */
  readonly isPreflightLeftOut?: boolean;
  /** Verify the backup once it is written; the outcome is `BackupReport.verified`. Default: false. */
  readonly isVerifying?: boolean;
  /**
   * Go on with an unfinished run: that of this ID, or the newest one of the same database or cluster, server and options, if there is one. What differs for an ID is an error:
   * `not_resumable`. Default: a new run.
   */
  readonly resume?: { readonly id?: string };
  /** Where the snapshot of that run is gone: keep relations that were read whole and read the rest under a new one, instead of failing with `snapshot_lost`. Default: false. */
  readonly isMixedAllowed?: boolean;
}

/** Goes on with an unfinished run as it was started: what is saved and how is taken from it. */
export interface ResumeOptions
  extends Pick<
    BackupOptions,
    | 'outputDir'
    | 'jobs'
    | 'memoryLimitBytes'
    | 'lockTimeoutMs'
    | 'onLockQueue'
    | 'timeoutMs'
    | 'stallTimeoutMs'
    | 'pgBinDir'
    | 'isVerifying'
    | 'isPreflightLeftOut'
    | 'maxBytesPerSecond'
    | 'isMixedAllowed'
    | 'hasKeeper'
    | 'keeperTtlMs'
  > {
  readonly id: string;
  /** Overrides parts of the connection that the run was started with; a password, which is saved nowhere, comes from here or from where libpq looks. */
  readonly connection?: Partial<ConnectionOptions>;
}

/** A backup of all databases of a server; `connection.database` is the one that is connected to first, usually `postgres`. */
export interface ClusterBackupOptions
  extends Omit<BackupOptions, 'selection' | 'isUnloggedDataLeftOut' | 'hasLargeObjects' | keyof OwnershipOptions> {
  /** psql patterns of databases that are left out. Default: none. */
  readonly excludeDatabases?: readonly string[];
  /** Leave the roles' password hashes out, which only a superuser may read. Default: false. */
  readonly arePasswordsLeftOut?: boolean;
}

export interface BackupReport {
  readonly id: string;
  readonly repository: string;
  readonly manifestPath: string;
  readonly rowCount: number;
  /** COPY bytes of all rows. */
  readonly rawBytes: number;
  /** Bytes of the data files. */
  readonly storedBytes: number;
  readonly elapsedMs: number;
  /** Raw bytes per second of wall time. */
  readonly bytesPerSecond: number;
  readonly peakRssBytes: number;
  /** Raw bytes as the sizes of tables had them expected before. */
  readonly estimatedRawBytes: number;
  readonly relationCount: number;
  readonly fileCount: number;
  readonly databaseCount: number;
  /** When the first and the last snapshot were taken, ISO 8601, UTC, by the server's clock, and in how many waves. */
  readonly snapshots: { readonly earliestAt: string; readonly latestAt: string; readonly waveCount: number };
  /** `exact`: each database's rows are of one snapshot; `exact-after-resume`: so they are, and the run was interrupted; `mixed`: some relations are of a later one. */
  readonly consistency: Manifest['consistency'];
  /** Present when an unfinished run was continued: what had been read before, in raw bytes of COPY and tasks. */
  readonly resumed?: { readonly keptTaskCount: number; readonly keptRawBytes: number };
  readonly warnings: readonly string[];
  /** Present when `isVerifying` was set. */
  readonly verified?: VerifyReport;
}

export interface RestoreOptions extends OwnershipOptions {
  readonly id: string;
  /** Which database of the backup to restore. Default: the only one; a backup of a cluster asks for it. */
  readonly database?: string;
  /** The repository. */
  readonly outputDir: string;
  /** The target: `connection.database` names the database to fill. With `isCreating` the server is reached through its maintenance database first. */
  readonly connection: ConnectionOptions;
  /** Create the target database, with the source's encoding and locale. It must not exist. Default: false. */
  readonly isCreating?: boolean;
  /** Drop the target database, if it exists, and create it anew: all it holds is lost. Needs `isConfirmed`. Default: false: a target that holds anything is refused. */
  readonly isCleaning?: boolean;
  /** Consent to `isCleaning`. Default: false. */
  readonly isConfirmed?: boolean;
  /** Go on with the restore that was interrupted in the target; one that is empty, or created by `isCreating`, is begun. The other options must be those it was begun with. Default: false. */
  readonly isResuming?: boolean;
  /** Read every restored table again and compare its row digest with the manifest: about the time of a backup more. Default: false. */
  readonly isChecking?: boolean;
  /** As in BackupOptions; also the number of indexes built at the same time. */
  readonly jobs?: number;
  /** As in BackupOptions. */
  readonly memoryLimitBytes?: number;
  /** Which part of the backup is restored. Default: all it holds. */
  readonly selection?: SelectionOptions;
  /** Rows are added to tables that hold some; without definitions only. Default: false: such a table is refused. */
  readonly isAppending?: boolean;
  /** Where session_replication_role may not be set, triggers of the tables are disabled while rows are loaded without definitions. Default: false. */
  readonly areTriggersDisabled?: boolean;
  /** Rows of partitions go through the topmost partitioned table. Default: only where hash partitions make it necessary. */
  readonly isLoadingViaRoot?: boolean;
  /** Tables and indexes go to the target database's own tablespace. Default: false. */
  readonly areTablespacesLeftOut?: boolean;
  /** Schemas to be renamed once all is restored: from the backup's name to the target's. Default: none. */
  readonly schemaMap?: Readonly<Record<string, string>>;
  /** Directory of pg_restore and psql. Default: the suitable ones of the usual places and `PATH`. */
  readonly pgBinDir?: string;
}

/** What a preflight needs to know of a restore. */
export type PreflightRestoreOptions = Pick<
  RestoreOptions,
  'id' | 'database' | 'outputDir' | 'connection' | 'isCreating' | 'isCleaning' | 'pgBinDir' | keyof OwnershipOptions
>;

export interface RestoreReport {
  readonly id: string;
  /** Name of the database that was filled. */
  readonly database: string;
  readonly relationCount: number;
  readonly rowCount: number;
  readonly rawBytes: number;
  readonly elapsedMs: number;
  readonly bytesPerSecond: number;
  readonly peakRssBytes: number;
  /** `backup`: options chose a part of what the backup holds; `database`: all of it, and the backup is one of a part of a database; null: a whole database. */
  readonly partOf: 'backup' | 'database' | null;
  readonly warnings: readonly string[];
  /** Relations whose digests were found equal; present when `isChecking` was set. */
  readonly checkedRelationCount?: number;
}

export interface RestoreListOptions {
  readonly id: string;
  /** As in RestoreOptions. */
  readonly database?: string;
  /** The repository. */
  readonly outputDir: string;
  /** As in RestoreOptions. */
  readonly selection?: SelectionOptions;
  /** Directory of pg_restore. */
  readonly pgBinDir?: string;
}

/** What a restore into an empty database would do. */
export interface RestoreListReport {
  readonly id: string;
  /** Relations with rows to be loaded, in the manifest's order. */
  readonly relations: readonly { readonly schema: string; readonly name: string; readonly rowCount: number; readonly rawBytes: number }[];
  /** Sequences whose value is set. */
  readonly sequenceCount: number;
  readonly materializedViewCount: number;
  readonly hasLargeObjects: boolean;
  /** Lines of pg_restore's list. */
  readonly preData: readonly string[];
  readonly postData: readonly string[];
  readonly rowCount: number;
  readonly rawBytes: number;
  /** What is left out because something it needs is. */
  readonly warnings: readonly string[];
}

/** Restores a backup of a cluster into another server: its roles, tablespaces and databases. */
export interface ClusterRestoreOptions
  extends Pick<
    RestoreOptions,
    'id' | 'outputDir' | 'isCleaning' | 'isConfirmed' | 'isResuming' | 'isChecking' | 'jobs' | 'memoryLimitBytes' | 'pgBinDir'
  > {
  /** The target server: `connection.database` is the database that is connected to while others are created, usually `postgres`. */
  readonly connection: ConnectionOptions;
  /** psql patterns of databases that are left out. Default: none. */
  readonly excludeDatabases?: readonly string[];
  /** Create no tablespaces: all databases and tables go to the target's default one. Default: false. */
  readonly areTablespacesLeftOut?: boolean;
}

export interface ClusterRestoreReport {
  readonly id: string;
  /** Names of the databases that were filled, in the backup's order. */
  readonly databases: readonly string[];
  readonly relationCount: number;
  readonly rowCount: number;
  readonly rawBytes: number;
  readonly elapsedMs: number;
  readonly bytesPerSecond: number;
  readonly peakRssBytes: number;
  /** What was left as it was: roles and tablespaces that the target had already. */
  readonly notices: readonly string[];
  readonly warnings: readonly string[];
  /** As in RestoreReport. */
  readonly checkedRelationCount?: number;
}

export interface VerifyOptions {
  readonly id: string;
  /** The repository. */
  readonly outputDir: string;
  /** As in BackupOptions; no connections are made. */
  readonly jobs?: number;
  /** As in BackupOptions. */
  readonly memoryLimitBytes?: number;
}

/** One place where the backup is not what was written. */
export interface Damage {
  /** File, relative to the backup. */
  readonly path: string;
  /** `schema.table`, or an empty string where no relation's rows are touched. */
  readonly relation: string;
  /** Index of the frame within the file and byte offset; -1 where not known. */
  readonly frame: number;
  readonly offset: number;
  /** `missing`, `size`, `checksum`, `frame`, `rows` or `digest`. */
  readonly kind: string;
  readonly message: string;
}

export interface VerifyReport {
  readonly id: string;
  readonly fileCount: number;
  readonly relationCount: number;
  readonly rowCount: number;
  readonly rawBytes: number;
  readonly elapsedMs: number;
  readonly bytesPerSecond: number;
  /** Empty when the backup is sound. */
  readonly damage: readonly Damage[];
}

export interface ListOptions {
  /** The repository. */
  readonly outputDir: string;
  /** List runs without a manifest instead of finished backups. Default: false. */
  readonly isUnfinished?: boolean;
}

/** One line of a list. */
export interface BackupSummary extends BackupFacts {
  /** An unfinished run whose process is alive on this machine. */
  readonly isRunning: boolean;
  /**
   * How an unfinished run can be continued: `exact`, a keeper on this machine holds its snapshot; `mixed`, with what it has read whole kept and the rest of a new one; `no`.
   * Null for a finished backup.
   */
  readonly resumable: 'exact' | 'mixed' | 'no' | null;
}

/** Sorted by time of start, oldest first; what tells no time comes last, by ID. */
export interface ListReport {
  readonly repository: string;
  readonly backups: readonly BackupSummary[];
}

export interface ShowOptions {
  readonly id: string;
  /** The repository. */
  readonly outputDir: string;
}

export interface DeleteOptions {
  /** A finished backup or an unfinished run. */
  readonly id: string;
  /** The repository. */
  readonly outputDir: string;
  /** Without consent nothing is deleted: `usage`. */
  readonly isConfirmed: boolean;
}

export interface DeleteReport {
  readonly id: string;
  readonly repository: string;
  readonly wasFinished: boolean;
}

/** A process that holds the snapshot and locks of a run. */
export interface KeeperSummary {
  /** The backup. */
  readonly id: string;
  readonly database: string;
  readonly pid: number;
  /** Of the server process that serves it. */
  readonly backendPid: number;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** Of the run that uses it; null when there is none. */
  readonly attachedPid: number | null;
  /** When it ends unless a run attaches, in milliseconds from now; null while one is. */
  readonly endsInMs: number | null;
  /** False until its snapshot is taken. */
  readonly isHolding: boolean;
  /** Transactions that have begun since its snapshot, as of the server's last checkpoint; null before its first ping, and where the role may not read that. */
  readonly xminAge: number | null;
}

export interface KeeperListReport {
  readonly keepers: readonly KeeperSummary[];
}

export interface KeeperStopOptions {
  /** The backup whose keepers are to end. Default: all of this user on this machine. */
  readonly id?: string;
}

export interface KeeperStopReport {
  readonly stopped: readonly KeeperSummary[];
}

/** What the options amount to where they are left out. */
export const defaults = {
  outputDir: './backups',
  chunkSizeBytes: 1024 ** 3,
  compression: { codec: 'zstd', level: 1 },
  format: 'auto',
  checksum: 'xxh3-128',
  keeperTtlMs: 3_600_000,
  onLockQueue: 'warn',
  stallTimeoutMs: 120_000,
} as const satisfies Partial<BackupOptions>;

/** Above this level the time spent grows many times faster than the space saved. */
export const maxUnforcedLevel = 6;

/** Number of jobs for a machine with `coreCount` cores: waiting for the server leaves room for at least 4, and beyond 8 a server at the same machine gains nothing. */
export const toDefaultJobs = (coreCount: number): number => Math.min(Math.max(coreCount, 4), 8);

/** The codec and level a backup uses: the default where none is given, the level capped unless forced. */
export const toCompression = (options: Pick<BackupOptions, 'compression' | 'isLevelForced'>): CompressionOptions => {
  const { codec, level } = options.compression ?? defaults.compression;
  return { codec, level: options.isLevelForced === true ? level : Math.min(level, maxUnforcedLevel) };
};
