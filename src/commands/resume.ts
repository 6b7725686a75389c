import { DbbackupError } from '../core/errors.js';
import { readRunRecord } from '../resume/run-record.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import { backup } from './backup.js';
import { backupCluster } from './backup-cluster.js';
import { toNotResumable } from './find-run.js';
import type { BackupReport, ConnectionOptions, ResumeOptions, RunContext } from './options.js';
import { fromRunOptions } from './run-options.js';

/**
 * Goes on with an unfinished run where it was cut off: files of finished tasks that are still what was written stay, all others are read again, under the same snapshot where
 * its keeper holds it still.
 *
 * Errors: those of `backup`, `backup_not_found`, `not_resumable` for one that is finished, was begun by another version or is not of this server, `snapshot_lost` where its
 * snapshot is gone and something of it was read, unless `isMixedAllowed`; `locked` while another process works on it.
 */
export const resume = async (options: ResumeOptions, context: RunContext = {}): Promise<BackupReport> => {
  const { id, connection: overrides, ...others } = options;
  const storage = openLocalStorage(options.outputDir);
  const entry = await (await openRepository(storage)).find(id);
  const record = await readRunRecord(storage, entry.id);
  if (entry.isFinished) throw toNotResumable(id, 'it is finished');
  if (record === null) throw toNotResumable(id, 'it ended before it had read anything');
  const { role, ...run } = fromRunOptions(record.options);
  const connection: ConnectionOptions = { database: record.connection, ...(role !== undefined && { role }), ...overrides };
  if (overrides?.role !== undefined && overrides.role !== role)
    throw new DbbackupError('not_resumable', `run ${id} was started ${role === undefined ? 'without a role' : `as role ${role}`}`);
  const all = { ...run, ...others, connection, resume: { id } };
  return record.kind === 'cluster' ? backupCluster(all, context) : backup(all, context);
};
