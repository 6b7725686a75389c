import { DbbackupError } from '../core/errors.js';
import { readKeepers } from '../keeper/list.js';
import { readBackupFacts } from '../manifest/facts.js';
import { readRunRecord } from '../resume/run-record.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import type { Storage } from '../storage/storage.js';
import type { BackupSummary, ListOptions, ListReport } from './options.js';
import { isRunning } from './running.js';

/**
 * Lists the finished backups of a repository, or its unfinished runs. One whose manifest cannot be read is listed as damaged and hides no other.
 * Errors: `repository_not_found`, `not_a_repository`, `io_error`. Cost: one manifest (or journal) in memory at a time.
 */
export const list = async (options: ListOptions): Promise<ListReport> => {
  const storage = openLocalStorage(options.outputDir);
  const repository = await openRepository(storage);
  const wantsUnfinished = options.isUnfinished === true;
  const backups: BackupSummary[] = [];
  const keptIds = new Set(wantsUnfinished ? (await readKeepers()).filter(({ isHolding }) => isHolding).map(({ id }) => id) : []);
  for (const entry of await repository.list()) {
    if (entry.isFinished === wantsUnfinished) continue;
    const facts = await readBackupFacts(repository, entry);
    const resumable = entry.isFinished ? null : await findResumable(storage, entry.id, keptIds);
    backups.push({ ...facts, isRunning: !entry.isFinished && (await isRunning(storage, entry.id)), resumable });
  }
  return { repository: storage.location, backups: backups.sort(compareStart) };
};

const findResumable = async (storage: Storage, id: string, keptIds: ReadonlySet<string>): Promise<'exact' | 'mixed' | 'no'> => {
  try {
    if ((await readRunRecord(storage, id)) === null) return 'no';
  } catch (error) {
    if (error instanceof DbbackupError && (error.code === 'manifest_damaged' || error.code === 'path_unsafe')) return 'no';
    throw error;
  }
  return keptIds.has(id) ? 'exact' : 'mixed';
};

/** What tells no time comes last. */
const compareStart = (a: BackupSummary, b: BackupSummary): number =>
  compareText(a.startedAt ?? '~', b.startedAt ?? '~') || compareText(a.id, b.id);

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
