import type { SelectionOptions } from '../core/selection.js';
import type { RunOptions } from '../resume/run-record.js';
import type { BackupOptions, ClusterBackupOptions } from './options.js';
import type { toBackupSettings } from './settings.js';

/** Options that say which data are saved and in which form, defaults filled in; all others may differ between the attempts of a run. */
export const toRunOptions = (
  options: BackupOptions & Partial<ClusterBackupOptions>,
  settings: ReturnType<typeof toBackupSettings>,
): RunOptions => ({
  format: settings.format,
  compression: { codec: settings.codec, level: settings.level },
  chunkSizeBytes: settings.chunkSizeBytes,
  checksum: settings.checksum,
  selection: toPlain(options.selection ?? {}),
  isUnloggedDataLeftOut: options.isUnloggedDataLeftOut === true,
  hasLargeObjects: options.hasLargeObjects ?? null,
  isOwnerDropped: options.isOwnerDropped === true,
  arePrivilegesDropped: options.arePrivilegesDropped === true,
  role: options.connection.role ?? null,
  excludeDatabases: [...(options.excludeDatabases ?? [])],
  arePasswordsLeftOut: options.arePasswordsLeftOut === true,
});

/** What `toRunOptions` made, as options again. Values that no option takes are refused where options are checked. */
export const fromRunOptions = (
  run: RunOptions,
): Omit<BackupOptions & ClusterBackupOptions, 'connection' | 'outputDir'> & { readonly role?: string } => {
  const { role, hasLargeObjects, selection, ...others } = run;
  return {
    ...(others as Omit<BackupOptions & ClusterBackupOptions, 'connection' | 'outputDir'>),
    isLevelForced: true,
    selection: (selection ?? {}) as SelectionOptions,
    ...(typeof hasLargeObjects === 'boolean' && { hasLargeObjects }),
    ...(typeof role === 'string' && { role }),
  };
};

/** Without what JSON cannot hold, in which the record is written. */
const toPlain = (value: SelectionOptions): RunOptions => JSON.parse(JSON.stringify(value)) as RunOptions;
