import { DbbackupError, toDbbackupError } from '../core/errors.js';
import type { TaskResult } from '../core/results.js';
import type { Engine, TaskSpec } from '../native/engine.js';

/** A task for the engine together with what its caller wants to know again when it ends. */
export interface ExecutorTask<Spec extends TaskSpec, Origin> {
  readonly spec: Spec;
  readonly origin: Origin;
}

export interface ExecutorListener<Spec extends TaskSpec, Origin> {
  onStarted(task: ExecutorTask<Spec, Origin>): void;
  /** Awaited before the run counts as finished; an error it throws ends the run. */
  onFinished(task: ExecutorTask<Spec, Origin>, result: TaskResult): Promise<void>;
  onFailed(task: ExecutorTask<Spec, Origin>, error: DbbackupError): void;
}

/** Tasks made one by one as they are taken, so that only those with the engine are in memory. */
export function* toTasks<Spec extends TaskSpec, Origin>(
  origins: Iterable<Origin>,
  toSpec: (origin: Origin) => Spec,
): Iterable<ExecutorTask<Spec, Origin>> {
  for (const origin of origins) yield { spec: toSpec(origin), origin };
}

/** Errors of reading that concern one chunk alone: the others still finish, so that one run names everything that cannot be read; then the run fails. */
const isolatedCodes: ReadonlySet<string> = new Set(['page_damaged', 'row_too_large']);

/**
 * Runs tasks in order, at most `jobs` at a time. The first error that is not confined to its chunk stops all others; when everything has
 * settled, the first error is thrown with the later ones attached.
 * Cost: `jobs` tasks are with the engine at any time, so nothing grows with their number.
 */
export const runTasks = async <Spec extends TaskSpec, Origin>(
  engine: Engine,
  tasks: Iterable<ExecutorTask<Spec, Origin>>,
  jobs: number,
  listener: ExecutorListener<Spec, Origin>,
): Promise<void> => {
  const errors: DbbackupError[] = [];
  let isStopping = false;
  const iterator = tasks[Symbol.iterator]();

  const runOne = async (task: ExecutorTask<Spec, Origin>): Promise<void> => {
    try {
      listener.onStarted(task);
      await listener.onFinished(task, await engine.run(task.spec));
    } catch (cause) {
      const error = toDbbackupError(cause);
      const isConsequence = isStopping && error.code === 'cancelled';
      if (!isConsequence) {
        errors.push(error);
        listener.onFailed(task, error);
      }
      if (!isStopping && !isolatedCodes.has(error.code)) {
        isStopping = true;
        engine.stop();
      }
    }
  };

  const runLane = async (): Promise<void> => {
    while (!isStopping) {
      const next = iterator.next();
      if (next.done === true) return;
      await runOne(next.value);
    }
  };
  await Promise.all(Array.from({ length: jobs }, runLane));

  const [first, ...later] = errors;
  if (first === undefined) return;
  if (later.length === 0) throw first;
  throw new DbbackupError(first.code, first.message, { cause: first.cause, details: { ...first.details, later } });
};
