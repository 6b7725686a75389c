import type { EstimateReport } from '../commands/estimate.js';
import type {
  BackupOptions,
  BackupReport,
  ClusterBackupOptions,
  ClusterRestoreOptions,
  ClusterRestoreReport,
  DeleteOptions,
  DeleteReport,
  KeeperListReport,
  KeeperStopOptions,
  KeeperStopReport,
  ListOptions,
  ListReport,
  PreflightRestoreOptions,
  RestoreListOptions,
  RestoreListReport,
  RestoreOptions,
  RestoreReport,
  ResumeOptions,
  RunContext,
  ShowOptions,
  VerifyOptions,
  VerifyReport,
} from '../commands/options.js';
import type { PreflightReport } from '../commands/preflight.js';
import type { ShowReport } from '../commands/show.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import type { Event } from '../core/events.js';
import { readToolVersion } from '../core/version.js';
import { type OutputOptions, parseArguments, type Request } from './args.js';
import {
  type EndSignal,
  toBackupStatus,
  toFailureStatus,
  toListStatus,
  toPreflightStatus,
  toRestoreStatus,
  toVerifyStatus,
} from './exit-codes.js';
import { type Log, openLog } from './log-file.js';
import { promptPassword, toPasswordPrompt } from './password-prompt.js';
import { formatError } from './render-error.js';
import { createJsonRenderer } from './render-json.js';
import { formatKeepers, formatStoppedKeepers } from './render-keepers.js';
import { formatList } from './render-list.js';
import { formatEstimateReport, formatPreflight } from './render-preflight.js';
import { createLiveProgress, createPlainProgress, type ProgressRenderer } from './render-progress.js';
import {
  formatBackupReport,
  formatClusterRestoreReport,
  formatDeleteReport,
  formatRestoreReport,
  formatVerifyReport,
} from './render-report.js';
import { formatRestoreList } from './render-restore-list.js';
import { formatShow } from './render-show.js';
import { createRunRedactor, findRequestSecrets, type Redactor } from './secrets.js';
import { toEndSignal, withSignals } from './signals.js';
import { isLive, type Style, type TextStream, toStyle } from './style.js';
import { toPrintable } from './text.js';

/** What the CLI touches of its process. */
export interface CliIo {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The commands, as the library exports them. */
export interface Commands {
  backup(options: BackupOptions, context: RunContext): Promise<BackupReport>;
  backupCluster(options: ClusterBackupOptions, context: RunContext): Promise<BackupReport>;
  resume(options: ResumeOptions, context: RunContext): Promise<BackupReport>;
  restoreCluster(options: ClusterRestoreOptions, context: RunContext): Promise<ClusterRestoreReport>;
  restore(options: RestoreOptions, context: RunContext): Promise<RestoreReport>;
  listRestore(options: RestoreListOptions): Promise<RestoreListReport>;
  preflight(options: BackupOptions, context: RunContext): Promise<PreflightReport>;
  preflightCluster(options: ClusterBackupOptions, context: RunContext): Promise<PreflightReport>;
  preflightRestore(options: PreflightRestoreOptions, context: RunContext): Promise<PreflightReport>;
  estimate(options: BackupOptions, context: RunContext): Promise<EstimateReport>;
  verify(options: VerifyOptions, context: RunContext): Promise<VerifyReport>;
  list(options: ListOptions): Promise<ListReport>;
  show(options: ShowOptions): Promise<ShowReport>;
  deleteBackup(options: DeleteOptions): Promise<DeleteReport>;
  listKeepers(): Promise<KeeperListReport>;
  stopKeepers(options: KeeperStopOptions): Promise<KeeperStopReport>;
}

/**
 * Runs the program: standard output gets the result (with --json the Events), standard error progress, warnings and errors.
 * Returns the exit status; never throws.
 */
export const runCli = async (argv: readonly string[], io: CliIo, commands: Commands): Promise<number> => {
  try {
    const parsed = parseArguments(argv, io.environment, Math.min(io.stdout.columns ?? 100, 120));
    if (parsed.kind === 'request') return await runRequest(argv, parsed.request, parsed.output, io, commands);
    io.stdout.write(parsed.text);
    return 0;
  } catch (error) {
    const { text } = createRunRedactor([]);
    const failure = toDbbackupError(error);
    if (argv.includes('--json')) createJsonRenderer(io.stdout)(toRunFailed(failure, text));
    io.stderr.write(formatError(failure, toStyle(io.stderr, io.environment), argv.includes('--verbose'), text));
    return failure.exitStatus;
  }
};

const runRequest = async (
  argv: readonly string[],
  request: Request,
  output: OutputOptions,
  io: CliIo,
  commands: Commands,
): Promise<number> => {
  const style = toStyle(io.stderr, io.environment);
  const warn = (text: string): void => void io.stderr.write(`dbbackup: ${style.yellow(toPrintable(text))}\n`);
  const secrets = findRequestSecrets(request, io.environment);
  let redactor = createRunRedactor(secrets);
  const log =
    output.logFile === null
      ? null
      : await openLog(output.logFile, output.isVerbose, (error) => warn(`the log file cannot be written: ${error.message}`));
  log?.start({ version: readToolVersion(), arguments: argv.map((argument) => redactor.text(argument)) });
  const session = createSession(output, io, style, log, () => redactor);
  if ('notices' in request && !output.isQuiet) for (const notice of request.notices) warn(notice);

  const status = await withSignals(
    (signal) => {
      session.progress?.finish();
      warn(`${signal}: stopping cleanly; a second signal stops at once`);
    },
    async (signal) => {
      try {
        const ready = await withPassword(request, signal);
        if (ready.password !== undefined) redactor = createRunRedactor([...secrets, ready.password]);
        return await execute(ready.request, output, io, commands, { signal, onEvent: session.listen }, () => session.progress?.finish());
      } catch (error) {
        const endSignal = toEndSignal(signal);
        const failure = toCause(toDbbackupError(error), endSignal);
        session.fail(failure);
        return toFailureStatus(failure, endSignal);
      }
    },
  );
  log?.finish(status);
  return status;
};

/** After a signal, whatever noticed the end first says less than the signal's name. */
const toCause = (error: DbbackupError, signal: EndSignal | null): DbbackupError =>
  signal === null || error.code !== 'cancelled'
    ? error
    : new DbbackupError('cancelled', `the run was cancelled by ${signal}`, { cause: error });

interface Session {
  readonly progress: ProgressRenderer | null;
  listen(event: Event): void;
  fail(error: DbbackupError): void;
}

/** Where Events and the error of one run go. */
const createSession = (output: OutputOptions, io: CliIo, style: Style, log: Log | null, redactor: () => Redactor): Session => {
  const progress = output.isJson
    ? null
    : (isLive(io.stderr, io.environment) ? createLiveProgress : createPlainProgress)(io.stderr, style, output);
  const printJson = output.isJson ? createJsonRenderer(io.stdout) : null;
  let hasTold = false;
  const listen = (event: Event): void => {
    const masked = redactor().event(event);
    hasTold ||= event.type === 'run.failed';
    printJson?.(masked);
    progress?.render(masked);
    log?.event(masked);
  };
  return {
    progress,
    listen,
    fail: (error) => {
      const { text } = redactor();
      if (!hasTold) listen(toRunFailed(error, text));
      progress?.finish();
      log?.error(error, text);
      io.stderr.write(formatError(error, style, output.isVerbose, text));
    },
  };
};

const toRunFailed = (error: DbbackupError, redact: (text: string) => string): Event => ({
  atMs: Date.now(),
  type: 'run.failed',
  code: error.code,
  message: redact(error.message),
  ...(error.hint !== undefined && { hint: redact(error.hint) }),
});

/** The request with the password that -W asks for. */
const withPassword = async (request: Request, signal: AbortSignal): Promise<{ readonly request: Request; readonly password?: string }> => {
  if (!('isPrompting' in request) || !request.isPrompting) return { request };
  const password = await promptPassword(toPasswordPrompt(request.options.connection?.user), signal);
  const withIt = <T extends object>(connection: T) => ({ ...connection, password });
  // Spelled out because the kinds of options differ in what else they hold.
  switch (request.command) {
    case 'backup':
      return { request: { ...request, options: { ...request.options, connection: withIt(request.options.connection) } }, password };
    case 'backup-cluster':
      return { request: { ...request, options: { ...request.options, connection: withIt(request.options.connection) } }, password };
    case 'resume':
      return { request: { ...request, options: { ...request.options, connection: withIt(request.options.connection ?? {}) } }, password };
    case 'restore':
      return { request: { ...request, options: { ...request.options, connection: withIt(request.options.connection) } }, password };
    case 'restore-cluster':
      return { request: { ...request, options: { ...request.options, connection: withIt(request.options.connection) } }, password };
    case 'preflight':
      return { request: { ...request, options: { ...request.options, connection: withIt(request.options.connection) } }, password };
    case 'preflight-cluster':
      return { request: { ...request, options: { ...request.options, connection: withIt(request.options.connection) } }, password };
    case 'preflight-restore':
      return { request: { ...request, options: { ...request.options, connection: withIt(request.options.connection) } }, password };
    case 'estimate':
      return { request: { ...request, options: { ...request.options, connection: withIt(request.options.connection) } }, password };
  }
};

/** Runs the command, prints its report and gives the exit status. `settle` takes the progress display back before the report is printed. */
const execute = async (
  request: Request,
  output: OutputOptions,
  io: CliIo,
  commands: Commands,
  context: RunContext,
  settle: () => void,
): Promise<number> => {
  const style = toStyle(io.stdout, io.environment);
  /** Of a run: the Events are the JSON; of the others: the report is. */
  const print = (text: string, quietText: string): void => {
    settle();
    if (!output.isJson) io.stdout.write(output.isQuiet ? quietText : text);
  };
  const printReport = (report: unknown, text: string, quietText: string): void => {
    if (output.isJson) io.stdout.write(`${JSON.stringify(report)}\n`);
    else print(text, quietText);
  };
  const printPreflight = (report: PreflightReport): number => {
    printReport(report, formatPreflight(report, false, style), formatPreflight(report, true, style));
    return toPreflightStatus(report);
  };
  switch (request.command) {
    case 'preflight':
      return printPreflight(await commands.preflight(request.options, context));
    case 'preflight-cluster':
      return printPreflight(await commands.preflightCluster(request.options, context));
    case 'preflight-restore':
      return printPreflight(await commands.preflightRestore(request.options, context));
    case 'estimate': {
      const report = await commands.estimate(request.options, context);
      printReport(report, formatEstimateReport(report, style), `${Math.round(report.storedBytes.value)}\n`);
      return 0;
    }
    case 'backup': {
      const report = await commands.backup(request.options, context);
      print(formatBackupReport(report, style), `${report.id}\n`);
      return toBackupStatus(report);
    }
    case 'backup-cluster': {
      const report = await commands.backupCluster(request.options, context);
      print(formatBackupReport(report, style), `${report.id}\n`);
      return toBackupStatus(report);
    }
    case 'resume': {
      const report = await commands.resume(request.options, context);
      print(formatBackupReport(report, style), `${report.id}\n`);
      return toBackupStatus(report);
    }
    case 'restore-cluster': {
      const report = await commands.restoreCluster(request.options, context);
      print(formatClusterRestoreReport(report, style), '');
      return toRestoreStatus(report);
    }
    case 'restore': {
      const report = await commands.restore(request.options, context);
      print(formatRestoreReport(report, style), '');
      return toRestoreStatus(report);
    }
    case 'restoreList': {
      const report = await commands.listRestore(request.options);
      printReport(report, formatRestoreList(report, style), '');
      return 0;
    }
    case 'verify': {
      const report = await commands.verify(request.options, context);
      print(formatVerifyReport(report, style), '');
      return toVerifyStatus(report);
    }
    case 'list': {
      const report = await commands.list(request.options);
      for (const { id, problem } of report.backups)
        if (problem !== null) io.stderr.write(`dbbackup: warning: ${id}: ${toPrintable(problem)}\n`);
      printReport(report, formatList(report, request.options.isUnfinished === true), report.backups.map(({ id }) => `${id}\n`).join(''));
      return toListStatus(report);
    }
    case 'show': {
      const report = await commands.show(request.options);
      printReport(report.manifest, formatShow(report, style), '');
      return 0;
    }
    case 'keeper-list': {
      const report = await commands.listKeepers();
      printReport(report, formatKeepers(report), report.keepers.map(({ id }) => `${id}\n`).join(''));
      return 0;
    }
    case 'keeper-stop': {
      const report = await commands.stopKeepers(request.options);
      printReport(report, formatStoppedKeepers(report), '');
      return 0;
    }
    case 'delete': {
      const report = await commands.deleteBackup(request.options);
      printReport(report, formatDeleteReport(report), '');
      return 0;
    }
  }
};
