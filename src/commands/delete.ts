import { systemClock } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import { endKeepers } from '../keeper/list.js';
import { type HeldLock, takeLock, takeRunLock } from '../resume/run-lock.js';
import { repositoryLock } from '../storage/layout.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import type { DeleteOptions, DeleteReport } from './options.js';

/**
 * Deletes a finished backup, or what an unfinished run left, for good. Cut off, it leaves an unfinished run that can be deleted again.
 * Errors: `usage` without `isConfirmed`, `repository_not_found`, `not_a_repository`, `backup_not_found`, `locked` while a process works on it or deletes another backup of the repository, `io_error`.
 */
export const deleteBackup = async (options: DeleteOptions): Promise<DeleteReport> => {
  if (!options.isConfirmed)
    throw new DbbackupError('usage', `deleting ${options.id} needs consent`, {
      details: { object: options.id, hint: 'Set isConfirmed, or --yes.' },
    });
  const storage = openLocalStorage(options.outputDir);
  const repository = await openRepository(storage);
  const { id, isFinished } = await repository.find(options.id);
  const now = new Date(systemClock.nowMs());
  // The one command that takes something away takes the repository for itself among its like; a run's own lock tells whether somebody works on it.
  const locks = [await whereThereIsRoom(() => takeLock(storage, repositoryLock, 'the repository', now))];
  try {
    locks.push(await whereThereIsRoom(() => takeRunLock(storage, id, now)));
    await repository.delete(id);
    // What they hold could only serve to continue the run.
    if (!isFinished) await endKeepers((keeper) => keeper.id === id && keeper.attachedPid === null);
  } finally {
    for (const lock of locks.reverse()) await lock.release();
  }
  return { id, repository: storage.location, wasFinished: isFinished };
};

/** A lock is a file: on a full disk, which deleting is to empty, it must do that nobody else holds it, which taking it would have told first. */
const whereThereIsRoom = async (take: () => Promise<HeldLock>): Promise<HeldLock> => {
  try {
    return await take();
  } catch (error) {
    if (error instanceof DbbackupError && error.code === 'disk_full') return { release: async () => undefined };
    throw error;
  }
};
