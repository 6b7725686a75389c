import { throwIfCancelled } from '../core/abort.js';
import type { TaskResult } from '../core/results.js';
import { onAbort } from './abort.js';
import type { EngineHandle, EngineOptions, EngineStats, TaskSpec, WorkerProbe } from './binding.js';
import { loadBinding } from './load.js';
import { awaitNative, callNative } from './native-call.js';

export type {
  CheckTask,
  CopyInSegment,
  CopyInTask,
  CopyOutSource,
  CopyOutTask,
  EngineOptions,
  EngineStats,
  FileSinkSpec,
  SegmentSpec,
  SessionSpec,
  TaskSpec,
  WorkerProbe,
} from './binding.js';

/**
 * The native data path: worker connections, encoder threads and the pool of blocks that bounds its memory. Tasks run in the order of `run` calls, as many at
 * once as there are workers. Keeps the process alive only while a task runs. Close it when it is no longer needed.
 */
export class Engine {
  readonly #handle: EngineHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #removeListener: () => void;

  /** Use `openEngine`. Takes over `handle`. */
  constructor(handle: EngineHandle, signal: AbortSignal | undefined) {
    this.#handle = handle;
    this.#signal = signal;
    this.#removeListener = onAbort(signal, () => handle.stop());
  }

  /**
   * Runs one task and gives what it wrote, read or found. A task that fails removes its unfinished file; files it had finished remain.
   *
   * Errors: those of the server and of the file system with `details.object` naming the source or segment; `cancelled` after `stop`, `close` or an abort.
   */
  run(task: TaskSpec): Promise<TaskResult> {
    return awaitNative(this.run, this.#signal, () => this.#handle.run(task));
  }

  /** Counters since the engine was opened, and what each busy worker is doing. Cheap: for a timer. */
  stats(): EngineStats {
    return callNative(this.stats, this.#signal, () => this.#handle.stats());
  }

  /** What the worker of a running task is at; null when none is at it. Cheap. */
  probe(taskId: number): WorkerProbe | null {
    return callNative(this.probe, this.#signal, () => this.#handle.probe(taskId));
  }

  /** Cuts the connection of a running task, which then rejects with `connection_lost`. False when it has none. Does not wait. */
  sever(taskId: number): boolean {
    return callNative(this.sever, this.#signal, () => this.#handle.sever(taskId));
  }

  /** Stops all tasks, running and queued: they reject with `cancelled` within two seconds. The engine can run no further task. Does not wait. */
  stop(): void {
    this.#handle.stop();
  }

  /** Stops and resolves when all threads have ended and the blocks are freed. May be called again. */
  close(): Promise<void> {
    this.#removeListener();
    return awaitNative(this.close, this.#signal, () => this.#handle.close());
  }
}

/** Starts the threads and reserves the memory of an engine. Aborting `signal` stops it. Errors: `usage`, `cancelled`, `addon_unavailable`. */
export const openEngine = (options: EngineOptions, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Engine => {
  throwIfCancelled(signal);
  const binding = loadBinding();
  return new Engine(
    callNative(openEngine, signal, () => binding.openEngine(options)),
    signal,
  );
};
