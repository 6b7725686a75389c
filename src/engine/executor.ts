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
  /**
   * What is still to be tried of a task after an error that concerns one of its parts alone, so that the other parts' errors are found, too; null or left out: nothing.
   * Its results are told to nobody: a task of which a part is missing has not finished.
   */
  toRest?(spec: Spec, error: DbbackupError): Spec | null;
  /**
   * What to run of a task that failed, once it has waited as long as is good; null or left out: the task has failed. An error it throws is the task's instead.
   * `signal` aborts when the run stops meanwhile.
   */
  toRetry?(task: ExecutorTask<Spec, Origin>, failure: TaskFailure<Spec>, signal: AbortSignal): Promise<Retry<Spec> | null>;
  /** Called when tasks begin to run, with what ends the run with an error from outside of all tasks; gives what is called when no task runs any more. */
  watch?(fail: (error: DbbackupError) => void): () => void;
}

export interface TaskFailure<Spec extends TaskSpec> {
  /** What was run. */
  readonly spec: Spec;
  readonly error: DbbackupError;
  /** How often the task has failed, this time included. */
  readonly failures: number;
}

export interface Retry<Spec extends TaskSpec> {
  readonly spec: Spec;
  /** The task goes behind all that have not run yet. */
  readonly isLast: boolean;
}

/** Tasks made one by one as they are taken, so that only those with the engine are in memory. */
export function* toTasks<Spec extends TaskSpec, Origin>(
  origins: Iterable<Origin>,
  toSpec: (origin: Origin) => Spec,
): Iterable<ExecutorTask<Spec, Origin>> {
  for (const origin of origins) yield { spec: toSpec(origin), origin };
}

/** Errors that concern one chunk alone: the others still finish, so that one run names everything that cannot be read; then the run fails. */
const isolatedCodes: ReadonlySet<string> = new Set(['page_damaged', 'row_too_large', 'data_damaged']);

interface Try<Spec extends TaskSpec, Origin> {
  readonly task: ExecutorTask<Spec, Origin>;
  readonly spec: Spec;
  readonly failures: number;
}

/**
 * Runs tasks in order, at most `jobs` at a time. A task that fails is tried again as `toRetry` says. The first error that is not confined to its chunk stops all others; when everything has
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
  const stopped = new AbortController();
  const iterator = tasks[Symbol.iterator]();
  const putBack: Try<Spec, Origin>[] = [];

  const stop = (): void => {
    isStopping = true;
    stopped.abort();
    engine.stop();
  };

  const note = (task: ExecutorTask<Spec, Origin>, error: DbbackupError): void => {
    const isConsequence = isStopping && error.code === 'cancelled';
    if (!isConsequence) {
      errors.push(error);
      listener.onFailed(task, error);
    }
    if (!isStopping && !isolatedCodes.has(error.code)) stop();
  };

  const runRest = async (task: ExecutorTask<Spec, Origin>, first: DbbackupError): Promise<void> => {
    let error: DbbackupError | null = first;
    for (let { spec } = task; error !== null && !isStopping; ) {
      const rest: Spec | null = listener.toRest?.(spec, error) ?? null;
      if (rest === null) return;
      spec = rest;
      error = await engine.run(spec).then(() => null, toDbbackupError);
      if (error !== null) note(task, error);
    }
  };

  /** Gives what is to be tried at once; null when the task has an end, or was put back. */
  const runTry = async ({ task, spec, failures }: Try<Spec, Origin>): Promise<Try<Spec, Origin> | null> => {
    try {
      const result = await engine.run(spec);
      await listener.onFinished(task, result);
      return null;
    } catch (cause) {
      const error = toDbbackupError(cause);
      const failure = { spec, error, failures: failures + 1 };
      try {
        const retry = isStopping ? null : ((await listener.toRetry?.(task, failure, stopped.signal)) ?? null);
        if (retry !== null && !isStopping) {
          const next = { task, spec: retry.spec, failures: failures + 1 };
          if (!retry.isLast) return next;
          putBack.push(next);
          return null;
        }
        note(task, error);
      } catch (other) {
        note(task, toDbbackupError(other));
      }
      if (isolatedCodes.has(error.code)) await runRest(task, error);
      return null;
    }
  };

  const take = (): Try<Spec, Origin> | undefined => {
    const next = iterator.next();
    if (next.done === true) return putBack.shift();
    const task = next.value;
    try {
      listener.onStarted(task);
    } catch (error) {
      note(task, toDbbackupError(error));
      return undefined;
    }
    return { task, spec: task.spec, failures: 0 };
  };

  const runLane = async (): Promise<void> => {
    while (!isStopping) {
      let next: Try<Spec, Origin> | null | undefined = take();
      if (next === undefined) return;
      while (next !== null) next = await runTry(next);
    }
  };
  const endWatch = listener.watch?.((error) => {
    if (isStopping) return;
    errors.push(error);
    stop();
  });
  try {
    await Promise.all(Array.from({ length: jobs }, runLane));
  } finally {
    endWatch?.();
  }

  const [first, ...later] = errors;
  if (first === undefined) return;
  throw new DbbackupError(first.code, nameObject(first), {
    cause: first,
    details: { ...first.details, ...(later.length === 0 ? {} : { later }) },
  });
};

/** What a server says of a row or a page does not tell which chunk it was asked for. */
const nameObject = ({ message, details: { object } }: DbbackupError): string =>
  object === undefined || message.includes(object) ? message : `${object}: ${message}`;
