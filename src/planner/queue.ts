import { largestFirst } from './order.js';
import type { BackupPlan, PlannedTask } from './plan.js';

/** A task of one database's Plan as a run over several databases numbers it. */
export interface QueuedTask extends PlannedTask {
  /** Number of the database within the backup. */
  readonly database: number;
  /** Number of the database's snapshot that it is read under. */
  readonly snapshot: number;
}

/** One queue of the tasks of several databases, largest first whosever it is, numbered from `firstTaskId`. Pure and deterministic. */
export const queueTasks = (
  plans: readonly { readonly number: number; readonly snapshot: { readonly number: number }; readonly plan: BackupPlan }[],
  firstTaskId = 1,
): readonly QueuedTask[] =>
  largestFirst(
    plans.flatMap(({ number, snapshot, plan }) => plan.tasks.map((task) => ({ ...task, database: number, snapshot: snapshot.number }))),
  ).map((task, index) => ({ ...task, taskId: firstTaskId + index }));
