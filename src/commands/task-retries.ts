import { throwIfCancelled } from '../core/abort.js';
import type { Emit } from '../core/context.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import { waitUnlessAborted } from '../core/wait.js';
import type { Retry, TaskFailure } from '../engine/executor.js';
import { retryRules, toDelayMs, toRetryClass } from '../engine/retry.js';
import type { CopyOutTask } from '../native/engine.js';
import { backupNames, dataPart, nameInBackup, nextAttemptStem } from '../storage/layout.js';
import type { LocalStorage } from '../storage/storage.js';

export interface TaskRetryParts {
  readonly id: string;
  readonly storage: LocalStorage;
  /** The run's own, which a user aborts. */
  readonly signal: AbortSignal | undefined;
  readonly record: Emit;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** A worker was refused its lock: gives the error that ends the run, null where the task is to be tried later. */
  readonly onLockRefused: (task: RetriedTask, failure: TaskFailure<CopyOutTask>) => Promise<DbbackupError | null>;
}

/** What the task that failed is of. */
export interface RetriedTask {
  readonly name: string;
  readonly tag: { readonly database?: string };
  /** Its database's number. */
  readonly database: number;
  /** Proves that the snapshot it reads still stands. */
  readonly checkSnapshot: () => Promise<void>;
}

/**
 * Decides whether a task of a backup that failed is tried again, and waits until it is time. The files that the failed try had published are removed, and the next one's
 * carry the next attempt, so that nothing of one try can be taken for another's.
 *
 * Errors: `snapshot_invalid` where the transaction that holds the snapshot has ended; `cancelled`; those of removing a file.
 */
export const createTaskRetries = (parts: TaskRetryParts) => {
  const { id, storage, signal, record, random, onLockRefused } = parts;

  const removeFiles = async ({ sink }: CopyOutTask): Promise<void> => {
    if (sink === null) return;
    for (let part = 1; ; part += 1) {
      const name = nameInBackup(id, `${backupNames.dataFolder}/${dataPart(sink.stem, part, sink.extension)}`);
      if ((await storage.stat(name)) === null) return;
      await storage.remove(name);
    }
  };

  return async (task: RetriedTask, failure: TaskFailure<CopyOutTask>, stopped: AbortSignal): Promise<Retry<CopyOutTask> | null> => {
    const { spec, error, failures } = failure;
    const retryClass = toRetryClass(error);
    if (retryClass === null || failures >= retryRules[retryClass].maxFailures) return null;
    if (!(await isSnapshotHeld(task, error))) return null;
    const isQueued = retryClass === 'lock-queue';
    const end = isQueued ? await onLockRefused(task, failure) : null;
    if (end !== null) throw end;
    await removeFiles(spec);
    const delayMs = toDelayMs(retryRules[retryClass], failures, random);
    const { code, message } = error;
    record({ type: 'chunk.retried', ...task.tag, taskId: spec.taskId, name: task.name, attempt: failures, code, message, delayMs });
    await waitUnlessAborted(delayMs, [signal, stopped]);
    throwIfCancelled(signal);
    // Once more after the wait: a server that was going down takes its time, and what the snapshot does not hold any more must not be read.
    if (stopped.aborted || !(await isSnapshotHeld(task, error))) return null;
    return {
      spec: spec.sink === null ? spec : { ...spec, sink: { ...spec.sink, stem: nextAttemptStem(spec.sink.stem) } },
      isLast: isQueued,
    };
  };
};

/** False when its holder cannot be reached any more, so that the task's own error stands, which tells why; a transaction that has ended otherwise is an error of its own. */
const isSnapshotHeld = async ({ checkSnapshot }: RetriedTask, error: DbbackupError): Promise<boolean> => {
  try {
    await checkSnapshot();
    return true;
  } catch (cause) {
    const found = toDbbackupError(cause);
    const isLost = found.code !== 'snapshot_invalid' || (found.cause instanceof DbbackupError && found.cause.code === 'connection_lost');
    if (isLost) return false;
    throw new DbbackupError(found.code, found.message, { cause: error, details: { ...found.details, later: [error] } });
  }
};
