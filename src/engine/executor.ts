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

  const note = (task: ExecutorTask<Spec, Origin>, error: DbbackupError): void => {
    const isConsequence = isStopping && error.code === 'cancelled';
    if (!isConsequence) {
      errors.push(error);
      listener.onFailed(task, error);
    }
    if (!isStopping && !isolatedCodes.has(error.code)) {
      isStopping = true;
      engine.stop();
    }
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

  const runOne = async (task: ExecutorTask<Spec, Origin>): Promise<void> => {
    try {
      listener.onStarted(task);
      await listener.onFinished(task, await engine.run(task.spec));
    } catch (cause) {
      const error = toDbbackupError(cause);
      note(task, error);
      if (isolatedCodes.has(error.code)) await runRest(task, error);
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
  throw new DbbackupError(first.code, nameObject(first), {
    cause: first,
    details: { ...first.details, ...(later.length === 0 ? {} : { later }) },
  });
};

/** What a server says of a row or a page does not tell which chunk it was asked for. */
const nameObject = ({ message, details: { object } }: DbbackupError): string =>
  object === undefined || message.includes(object) ? message : `${object}: ${message}`;
