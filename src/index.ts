/** The public API: what the command line uses, and nothing else. */
export { backup } from './commands/backup.js';
export { backupCluster } from './commands/backup-cluster.js';
export { deleteBackup } from './commands/delete.js';
export { type EstimateReport, estimate, type RelationEstimate } from './commands/estimate.js';
export { listKeepers, stopKeepers } from './commands/keeper.js';
export { list } from './commands/list.js';
export type {
  BackupOptions,
  BackupReport,
  BackupSummary,
  ClusterBackupOptions,
  ClusterRestoreOptions,
  ClusterRestoreReport,
  CompressionOptions,
  ConnectionOptions,
  Damage,
  DeleteOptions,
  DeleteReport,
  KeeperListReport,
  KeeperStopOptions,
  KeeperStopReport,
  KeeperSummary,
  ListOptions,
  ListReport,
  OwnershipOptions,
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
} from './commands/options.js';
export { type PreflightReport, preflight, preflightCluster } from './commands/preflight.js';
export { preflightRestore } from './commands/preflight-restore.js';
export { restore } from './commands/restore.js';
export { restoreCluster } from './commands/restore-cluster.js';
export { listRestore } from './commands/restore-list.js';
export { resume } from './commands/resume.js';
export { type ShowReport, show } from './commands/show.js';
export { verify } from './commands/verify.js';
export { type ErrorCode, errorCodes, isErrorCode } from './core/error-codes.js';
export { DbbackupError, type ErrorDetails } from './core/errors.js';
export type { Estimate } from './core/estimates.js';
export type { Event, EventListener } from './core/events.js';
export type { Finding, FindingStatus } from './core/findings.js';
export type { SectionName, SelectionOptions } from './core/selection.js';
