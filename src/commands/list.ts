import { readBackupFacts } from '../manifest/facts.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
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
  for (const entry of await repository.list()) {
    if (entry.isFinished === wantsUnfinished) continue;
    const facts = await readBackupFacts(repository, entry);
    backups.push({ ...facts, isRunning: !entry.isFinished && (await isRunning(storage, entry.id)) });
  }
  return { repository: storage.location, backups: backups.sort(compareStart) };
};

/** What tells no time comes last. */
const compareStart = (a: BackupSummary, b: BackupSummary): number =>
  compareText(a.startedAt ?? '~', b.startedAt ?? '~') || compareText(a.id, b.id);

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
