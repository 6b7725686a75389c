import { DbbackupError } from '../core/errors.js';
import { endKeepers } from '../keeper/list.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import type { DeleteOptions, DeleteReport } from './options.js';
import { isRunning } from './running.js';

/**
 * Deletes a finished backup, or what an unfinished run left, for good; the snapshots that were kept for such a run are let go. Cut off, it leaves an unfinished run that can be deleted again.
 * Errors: `usage` without `isConfirmed`, `repository_not_found`, `not_a_repository`, `backup_not_found`, `locked` while the run goes on on this machine, `io_error`.
 */
export const deleteBackup = async (options: DeleteOptions): Promise<DeleteReport> => {
  if (!options.isConfirmed)
    throw new DbbackupError('usage', `deleting ${options.id} needs consent`, {
      details: { object: options.id, hint: 'Set isConfirmed, or --yes.' },
    });
  const storage = openLocalStorage(options.outputDir);
  const repository = await openRepository(storage);
  const { id, isFinished } = await repository.find(options.id);
  if (!isFinished && (await isRunning(storage, id))) {
    throw new DbbackupError('locked', `backup ${id} is being written`, {
      details: { object: id, hint: 'Wait until its run has ended, or stop it first.' },
    });
  }
  await repository.delete(id);
  // What they hold could only serve to continue the run.
  if (!isFinished) await endKeepers((keeper) => keeper.id === id && keeper.attachedPid === null);
  return { id, repository: storage.location, wasFinished: isFinished };
};
