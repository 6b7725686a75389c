import type { OwnershipFlags, SelectionFlags } from './selection-options.js';

/** Options as commander hands them over: what every command has. */
export interface OutputFlags {
  readonly outputDir: string;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
  readonly logFile?: string;
}

export interface ConnectionFlags {
  readonly host?: string;
  readonly port?: string;
  readonly username?: string;
  /** -W is true, -w is false: the last one counts, as in psql. */
  readonly password?: boolean;
}

export interface ResourceFlags {
  readonly jobs?: number;
  readonly parallelTables?: number;
  readonly memoryLimit?: number;
}

export interface BackupFlags extends OutputFlags, ConnectionFlags, ResourceFlags, SelectionFlags, OwnershipFlags {
  readonly chunkSize?: number;
  readonly compression?: { readonly codec: 'zstd' | 'lz4' | 'gzip' | 'none'; readonly level: number };
  readonly forceLevel?: true;
  readonly format?: 'auto' | 'binary' | 'text';
  readonly checksum?: 'xxh3-128' | 'sha256';
  readonly lockWaitTimeout?: number;
  readonly onLockQueue?: 'warn' | 'fail' | 'yield';
  readonly timeout?: number;
  readonly stallTimeout?: number;
  readonly mode?: 'chunked' | 'native';
  readonly pgBinDir?: string;
  readonly verify?: true;
  /** False with --no-keeper. */
  readonly keeper: boolean;
  readonly keeperTtl?: number;
  readonly maxRate?: number;
  /** False with --no-preflight. */
  readonly preflight?: boolean;
  /** True without an ID. */
  readonly resume?: string | true;
  readonly allowMixed?: true;
  /** --no-unlogged-data is false. */
  readonly unloggedData?: boolean;
  readonly largeObjects?: boolean;
}

/** Of `resume`: what is saved and how was said when the run was started. */
export interface ResumeFlags
  extends OutputFlags,
    ConnectionFlags,
    ResourceFlags,
    Pick<
      BackupFlags,
      | 'lockWaitTimeout'
      | 'onLockQueue'
      | 'timeout'
      | 'stallTimeout'
      | 'pgBinDir'
      | 'verify'
      | 'keeper'
      | 'keeperTtl'
      | 'maxRate'
      | 'preflight'
      | 'allowMixed'
    > {}

export interface ClusterBackupFlags extends BackupFlags {
  readonly excludeDatabase?: readonly string[];
  /** False with --no-role-passwords. */
  readonly rolePasswords: boolean;
}

export interface ClusterRestoreFlags extends OutputFlags, ConnectionFlags, ResourceFlags {
  readonly targetServer: string;
  readonly excludeDatabase?: readonly string[];
  /** False with --no-tablespaces. */
  readonly tablespaces: boolean;
  readonly clean?: true;
  readonly resume?: true;
  readonly yes?: true;
  readonly check?: true;
  readonly pgBinDir?: string;
}

export interface RestoreFlags extends OutputFlags, ConnectionFlags, ResourceFlags, SelectionFlags, OwnershipFlags {
  readonly targetDb?: string;
  readonly list?: true;
  readonly append?: true;
  readonly disableTriggers?: true;
  readonly loadViaPartitionRoot?: true;
  /** False with --no-tablespaces. */
  readonly tablespaces: boolean;
  readonly mapSchema?: Readonly<Record<string, string>>;
  readonly database?: string;
  readonly create?: true;
  readonly clean?: true;
  readonly yes?: true;
  readonly resume?: true;
  readonly check?: true;
  readonly pgBinDir?: string;
}
