import type { BackupReport, ListReport, RestoreReport, VerifyReport } from '../commands/options.js';
import type { PreflightReport } from '../commands/preflight.js';
import type { DbbackupError } from '../core/errors.js';
import type { ExitStatus } from './help.js';

/** The signals that end a run cleanly, and the status a shell expects after each: 128 + its number. */
export const signalStatuses = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const satisfies Record<string, ExitStatus>;
export type EndSignal = keyof typeof signalStatuses;

/**
 * Status of a run that failed. After a signal it is the signal's, whatever the error: Ctrl-C reaches client tools at the same moment, and their end may
 * be noticed first.
 */
export const toFailureStatus = (error: DbbackupError, signal: EndSignal | null): number =>
  signal === null ? error.exitStatus : signalStatuses[signal];

const doneStatus = (hasWarnings: boolean): ExitStatus => (hasWarnings ? 3 : 0);

export const toPreflightStatus = ({ status }: PreflightReport): ExitStatus => (({ ok: 0, warn: 3, fail: 1 }) as const)[status];
export const toVerifyStatus = (report: VerifyReport): ExitStatus => (report.damage.length > 0 ? 20 : 0);
export const toBackupStatus = (report: BackupReport): ExitStatus =>
  report.verified !== undefined && report.verified.damage.length > 0 ? 20 : doneStatus(report.warnings.length > 0);
export const toRestoreStatus = (report: Pick<RestoreReport, 'warnings'>): ExitStatus => doneStatus(report.warnings.length > 0);
export const toListStatus = (report: ListReport): ExitStatus => doneStatus(report.backups.some(({ state }) => state === 'damaged'));
