import { Command, CommanderError } from 'commander';
import {
  type BackupOptions,
  type ClusterBackupOptions,
  type ClusterRestoreOptions,
  type ConnectionOptions,
  type DeleteOptions,
  defaults,
  type KeeperStopOptions,
  type ListOptions,
  maxUnforcedLevel,
  type PreflightRestoreOptions,
  type RestoreListOptions,
  type RestoreOptions,
  type ResumeOptions,
  type ShowOptions,
  type VerifyOptions,
} from '../commands/options.js';
import { checkConnectionUri } from '../core/connection-uri.js';
import { DbbackupError } from '../core/errors.js';
import { readToolVersion } from '../core/version.js';
import type {
  BackupFlags,
  ClusterBackupFlags,
  ClusterRestoreFlags,
  ConnectionFlags,
  OutputFlags,
  ResourceFlags,
  RestoreFlags,
  ResumeFlags,
} from './flags.js';
import { rootHelpTail } from './help.js';
import { toUsageError } from './option-values.js';
import { addCommands } from './program.js';
import { type OwnershipFlags, toOwnership, toSelectionOption } from './selection-options.js';

/** How the outcome is told. */
export interface OutputOptions {
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly isVerbose: boolean;
  readonly logFile: string | null;
}

/** What was typed, as what a command takes. `isPrompting`: ask for a password first. `notices`: what to tell before the run. */
export type Request =
  | { readonly command: 'backup'; readonly options: BackupOptions; readonly isPrompting: boolean; readonly notices: readonly string[] }
  | {
      readonly command: 'backup-cluster';
      readonly options: ClusterBackupOptions;
      readonly isPrompting: boolean;
      readonly notices: readonly string[];
    }
  | { readonly command: 'resume'; readonly options: ResumeOptions; readonly isPrompting: boolean }
  | { readonly command: 'restore'; readonly options: RestoreOptions; readonly isPrompting: boolean }
  | { readonly command: 'preflight'; readonly options: BackupOptions; readonly isPrompting: boolean }
  | { readonly command: 'preflight-cluster'; readonly options: ClusterBackupOptions; readonly isPrompting: boolean }
  | { readonly command: 'preflight-restore'; readonly options: PreflightRestoreOptions; readonly isPrompting: boolean }
  | { readonly command: 'estimate'; readonly options: BackupOptions; readonly isPrompting: boolean }
  | { readonly command: 'restoreList'; readonly options: RestoreListOptions }
  | { readonly command: 'restore-cluster'; readonly options: ClusterRestoreOptions; readonly isPrompting: boolean }
  | { readonly command: 'verify'; readonly options: VerifyOptions }
  | { readonly command: 'list'; readonly options: ListOptions }
  | { readonly command: 'show'; readonly options: ShowOptions }
  | { readonly command: 'keeper-list'; readonly options: Readonly<Record<never, never>> }
  | { readonly command: 'keeper-stop'; readonly options: KeeperStopOptions }
  | { readonly command: 'delete'; readonly options: DeleteOptions };

/** A request, or the text that --help or --version asks for. */
export type Parsed =
  | { readonly kind: 'request'; readonly request: Request; readonly output: OutputOptions }
  | { readonly kind: 'text'; readonly text: string };

/**
 * Reads the arguments after the program's name. Touches nothing but its inputs; `environment` gives `DBBACKUP_OUTPUT_DIR`. `columns`: width of the help.
 * Errors: `usage`, in one line.
 */
export const parseArguments = (
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
  columns = 100,
): Parsed => {
  refuseInlinePassword(argv);
  let text = '';
  let parsed: Parsed | undefined;
  const accept = (request: Request, flags: Omit<OutputFlags, 'outputDir'>): void => {
    parsed = { kind: 'request', request, output: toOutput(flags) };
  };
  // What --help and --version ask for comes this way; the help that goes with an error goes to writeErr and is left out.
  const writeOut = (written: string): void => {
    text += written;
  };

  const program = new Command('dbbackup')
    .description('Backups of large PostgreSQL databases at the speed of the hardware, in constant memory, restorable with stock tools.')
    .helpOption('--help', 'show this help')
    .helpCommand('help [COMMAND]', 'show the help of a command')
    .version(readToolVersion(), '--version', 'show the version')
    .configureOutput({
      writeOut,
      writeErr: () => undefined,
      getOutHelpWidth: () => columns,
      getErrHelpWidth: () => columns,
      outputError: () => undefined,
    })
    .exitOverride()
    .addHelpText('after', rootHelpTail);
  addCommands(
    program,
    {
      backup: (database, flags) => accept({ command: 'backup', ...toBackup(database, flags) }, flags),
      backupCluster: (connection, flags) => accept(toClusterBackup(connection, flags), flags),
      resume: (id, flags) => accept(toResume(id, flags), flags),
      restore: (id, flags) => accept(toRestore(id, flags), flags),
      restoreCluster: (id, flags) => accept(toClusterRestore(id, flags), flags),
      preflight: (database, flags) => accept(toLookAhead('preflight', database, flags), flags),
      preflightCluster: (connection, flags) => accept(toClusterPreflight(connection, flags), flags),
      preflightRestore: (id, flags) => accept(toRestorePreflight(id, flags), flags),
      estimate: (database, flags) => accept(toLookAhead('estimate', database, flags), flags),
      verify: (id, flags) => accept({ command: 'verify', options: { id, outputDir: flags.outputDir, ...toResources(flags) } }, flags),
      list: (flags) => accept({ command: 'list', options: { outputDir: flags.outputDir, isUnfinished: flags.unfinished === true } }, flags),
      show: (id, flags) => accept({ command: 'show', options: { id, outputDir: flags.outputDir } }, flags),
      listKeepers: (flags) => accept({ command: 'keeper-list', options: {} }, flags),
      stopKeepers: (id, flags) => accept({ command: 'keeper-stop', options: toKeeperStop(id, flags) }, flags),
      delete: (id, flags) => accept(toDelete(id, flags), flags),
    },
    environment['DBBACKUP_OUTPUT_DIR'] || defaults.outputDir,
  );

  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && text !== '') return { kind: 'text', text };
    throw toParseError(error, argv);
  }
  if (parsed === undefined) throw toUsageError('no command given', 'See dbbackup --help.');
  return parsed;
};

/** Commander's `error: unknown option '--fromat'\n(Did you mean --format?)` as our kind of error. */
const toParseError = (error: unknown, argv: readonly string[]): unknown => {
  const seeHelp = `See ${['dbbackup', ...commandWords(argv)].join(' ')} --help.`;
  if (error instanceof DbbackupError && error.code === 'usage' && error.details.hint === undefined)
    return toUsageError(error.message, seeHelp);
  if (!(error instanceof CommanderError)) return error;
  // Commander prints the help where a subcommand is missing.
  if (error.code === 'commander.help')
    return toUsageError(
      argv.length === 0
        ? 'no command given'
        : `"${argv[0]}" needs a subcommand: ${argv[0] === 'keeper' ? 'list or stop' : 'single or cluster'}`,
      seeHelp,
    );
  const [first = '', second = ''] = error.message.split('\n');
  // What follows the = of an unknown option may be a password.
  const message = first
    .replace(/^error: /, '')
    .replace(/^(unknown option '[^=']*)=.*'$/s, "$1'")
    .replace(/\.$/, '');
  const part =
    /^unknown option '(-[tnTN]|--(?:table|schema|exclude-table|exclude-schema|exclude-table-data|schema-only|data-only|section|database))'$/.exec(
      message,
    );
  if (part !== null && argv[1] === 'cluster')
    return toUsageError(
      message,
      `A cluster is taken as a whole, but for --exclude-database: ${argv[0]} single takes a part of a database.`,
    );
  if (message === "unknown option '-h'") return toUsageError(message, '-h is the host, as in psql; the help is --help.');
  return toUsageError(message, second.startsWith('(') ? `${second.slice(1, -1)} ${seeHelp}` : seeHelp);
};

const commandWords = (argv: readonly string[]): readonly string[] => {
  const [first = '', second] = argv;
  if (first === 'keeper') return second === 'list' || second === 'stop' ? [first, second] : [first];
  if (first === 'preflight') return ['single', 'cluster', 'restore'].includes(second ?? '') ? [first, second ?? ''] : [first];
  if (first === 'backup' || first === 'restore') return second === 'single' || second === 'cluster' ? [first, second] : [first];
  return ['resume', 'verify', 'list', 'show', 'delete', 'estimate'].includes(first) ? [first] : [];
};

const refuseInlinePassword = (argv: readonly string[]): void => {
  if (argv.some((argument) => /^(?:-W.|--password=)/s.test(argument))) {
    throw toUsageError('-W takes no value', 'The password is asked for; or put it into .pgpass or PGPASSWORD.');
  }
};

const toOutput = (flags: Omit<OutputFlags, 'outputDir'>): OutputOptions => ({
  isJson: flags.json === true,
  isQuiet: flags.quiet === true,
  isVerbose: flags.verbose === true,
  logFile: flags.logFile ?? null,
});

const toConnection = (database: string, flags: ConnectionFlags & Pick<OwnershipFlags, 'role'>): ConnectionOptions => {
  checkConnectionUri(database);
  return {
    database,
    ...(flags.host !== undefined && { host: flags.host }),
    ...(flags.port !== undefined && { port: flags.port }),
    ...(flags.username !== undefined && { user: flags.username }),
    ...(flags.password === false && { noPassword: true }),
    ...(flags.role !== undefined && { role: flags.role }),
  };
};

const toResources = (flags: ResourceFlags): { readonly jobs?: number; readonly memoryLimitBytes?: number } => {
  const jobs = flags.jobs ?? flags.parallelTables;
  return { ...(jobs !== undefined && { jobs }), ...(flags.memoryLimit !== undefined && { memoryLimitBytes: flags.memoryLimit }) };
};

interface BackupRequest {
  readonly options: BackupOptions;
  readonly isPrompting: boolean;
  readonly notices: readonly string[];
}

/** What every attempt of a run may say anew. */
const toRunFlags = (flags: ResumeFlags) => ({
  isVerifying: flags.verify === true,
  ...(!flags.keeper && { hasKeeper: false }),
  ...(flags.keeperTtl !== undefined && { keeperTtlMs: flags.keeperTtl }),
  ...(flags.maxRate !== undefined && { maxBytesPerSecond: flags.maxRate }),
  ...(flags.preflight === false && { isPreflightLeftOut: true }),
  ...(flags.allowMixed === true && { isMixedAllowed: true }),
  ...toResources(flags),
  ...(flags.lockWaitTimeout !== undefined && { lockTimeoutMs: flags.lockWaitTimeout }),
  ...(flags.onLockQueue !== undefined && { onLockQueue: flags.onLockQueue }),
  ...(flags.timeout !== undefined && { timeoutMs: flags.timeout }),
  ...(flags.stallTimeout !== undefined && { stallTimeoutMs: flags.stallTimeout }),
  ...(flags.pgBinDir !== undefined && { pgBinDir: flags.pgBinDir }),
});

const toResume = (id: string, flags: ResumeFlags): Request => {
  // Which database the run was of is known; it takes what overrides parts of that.
  const { database: _, ...connection } = toConnection('', flags);
  return {
    command: 'resume',
    isPrompting: flags.password === true,
    options: { id, outputDir: flags.outputDir, connection, ...toRunFlags(flags) },
  };
};

const toBackup = (database: string, flags: BackupFlags): BackupRequest => {
  const isForced = flags.forceLevel === true;
  const isCapped = !isForced && flags.compression !== undefined && flags.compression.level > maxUnforcedLevel;
  return {
    isPrompting: flags.password === true,
    notices: isCapped
      ? [
          `compression level ${flags.compression.level} is lowered to ${maxUnforcedLevel}: higher ones are many times slower and save little; --force-level takes them`,
        ]
      : [],
    options: {
      connection: toConnection(database, flags),
      outputDir: flags.outputDir,
      isLevelForced: isForced,
      ...toRunFlags(flags),
      ...(flags.resume !== undefined && { resume: flags.resume === true ? {} : { id: flags.resume } }),
      ...(flags.chunkSize !== undefined && { chunkSizeBytes: flags.chunkSize }),
      ...(flags.compression !== undefined && { compression: flags.compression }),
      ...(flags.format !== undefined && { format: flags.format }),
      ...(flags.checksum !== undefined && { checksum: flags.checksum }),
      ...toSelectionOption(flags),
      ...toOwnership(flags),
      ...(flags.unloggedData === false && { isUnloggedDataLeftOut: true }),
      ...(flags.largeObjects !== undefined && { hasLargeObjects: flags.largeObjects }),
    },
  };
};

const toClusterBackup = (connection: string, flags: ClusterBackupFlags): Request => {
  const { options, ...request } = toBackup(connection, flags);
  return {
    command: 'backup-cluster',
    ...request,
    options: { ...options, excludeDatabases: flags.excludeDatabase ?? [], arePasswordsLeftOut: !flags.rolePasswords },
  };
};

const toLookAhead = (command: 'preflight' | 'estimate', database: string, flags: BackupFlags): Request => {
  const { options, isPrompting } = toBackup(database, flags);
  return { command, options, isPrompting };
};

const toClusterPreflight = (connection: string, flags: ClusterBackupFlags): Request => {
  const { options, isPrompting } = toBackup(connection, flags);
  return {
    command: 'preflight-cluster',
    isPrompting,
    options: { ...options, excludeDatabases: flags.excludeDatabase ?? [], arePasswordsLeftOut: !flags.rolePasswords },
  };
};

const toRestorePreflight = (id: string, flags: RestoreFlags): Request => {
  const { targetDb } = flags;
  if (targetDb === undefined) throw toUsageError("required option '--target-db <NAME>' not specified");
  return {
    command: 'preflight-restore',
    isPrompting: flags.password === true,
    options: {
      id,
      outputDir: flags.outputDir,
      connection: toConnection(targetDb, flags),
      ...toOwnership(flags),
      ...(flags.database !== undefined && { database: flags.database }),
      isCreating: flags.create === true,
      isCleaning: flags.clean === true,
      ...(flags.pgBinDir !== undefined && { pgBinDir: flags.pgBinDir }),
    },
  };
};

const refuseUnconfirmed = (flags: Pick<RestoreFlags, 'clean' | 'yes'>, what: string): void => {
  if (flags.clean === true && flags.yes !== true) throw toUsageError('--clean needs --yes', `--clean drops ${what}; add --yes to consent.`);
};

const toClusterRestore = (id: string, flags: ClusterRestoreFlags): Request => {
  refuseUnconfirmed(flags, 'the databases that exist, with all they hold');
  return {
    command: 'restore-cluster',
    isPrompting: flags.password === true,
    options: {
      id,
      outputDir: flags.outputDir,
      connection: toConnection(flags.targetServer, flags),
      excludeDatabases: flags.excludeDatabase ?? [],
      areTablespacesLeftOut: !flags.tablespaces,
      isCleaning: flags.clean === true,
      isConfirmed: flags.yes === true,
      ...(flags.resume === true && { isResuming: true }),
      isChecking: flags.check === true,
      ...toResources(flags),
      ...(flags.pgBinDir !== undefined && { pgBinDir: flags.pgBinDir }),
    },
  };
};

/** `--list` changes nothing, whatever else is asked for. */
const refuseBesideList = (flags: RestoreFlags): void => {
  const doing = ['create', 'clean', 'check', 'append', 'disableTriggers', 'loadViaPartitionRoot', 'mapSchema', 'resume'] as const;
  const given = doing.find((name) => flags[name] !== undefined);
  if (given === undefined) return;
  const option = `--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw toUsageError(`--list does not go with ${option}`, 'It shows what would be restored into an empty database, and touches nothing.');
};

const toRestore = (id: string, flags: RestoreFlags): Request => {
  refuseUnconfirmed(flags, 'the target database with all it holds');
  if (flags.list === true) {
    refuseBesideList(flags);
    const { outputDir, pgBinDir } = flags;
    return {
      command: 'restoreList',
      options: {
        id,
        outputDir,
        ...(flags.database !== undefined && { database: flags.database }),
        ...toSelectionOption(flags),
        ...(pgBinDir !== undefined && { pgBinDir }),
      },
    };
  }
  const { targetDb } = flags;
  if (targetDb === undefined) throw toUsageError("required option '--target-db <NAME>' not specified");
  return {
    command: 'restore',
    isPrompting: flags.password === true,
    options: {
      id,
      outputDir: flags.outputDir,
      connection: toConnection(targetDb, flags),
      ...toSelectionOption(flags),
      ...toOwnership(flags),
      ...(flags.append === true && { isAppending: true }),
      ...(flags.disableTriggers === true && { areTriggersDisabled: true }),
      ...(!flags.tablespaces && { areTablespacesLeftOut: true }),
      ...(flags.loadViaPartitionRoot === true && { isLoadingViaRoot: true }),
      ...(flags.mapSchema !== undefined && { schemaMap: flags.mapSchema }),
      ...(flags.database !== undefined && { database: flags.database }),
      isCreating: flags.create === true,
      isCleaning: flags.clean === true,
      isConfirmed: flags.yes === true,
      ...(flags.resume === true && { isResuming: true }),
      isChecking: flags.check === true,
      ...toResources(flags),
      ...(flags.pgBinDir !== undefined && { pgBinDir: flags.pgBinDir }),
    },
  };
};

const toKeeperStop = (id: string | undefined, { all }: { readonly all?: true }): KeeperStopOptions => {
  if ((id === undefined) === (all !== true)) throw toUsageError('keeper stop needs the ID of a backup, or --all');
  return id === undefined ? {} : { id };
};

const toDelete = (id: string, flags: OutputFlags & { readonly yes?: true }): Request => {
  if (flags.yes !== true) throw toUsageError('delete needs --yes', `dbbackup delete ${id} --yes deletes it for good.`);
  return { command: 'delete', options: { id, outputDir: flags.outputDir, isConfirmed: true } };
};
