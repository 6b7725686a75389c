import type { Emit } from '../core/context.js';
import type { Engine } from '../native/engine.js';
import { measureMemory } from '../native/host.js';

const intervalMs = 250;

export interface Amount {
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly rowCount: number;
}

export const noAmount: Amount = { rawBytes: 0, storedBytes: 0, rowCount: 0 };

export interface ProgressOptions {
  readonly engine: Engine;
  readonly emit: Emit;
  readonly estimatedRawBytes: number;
  /** What the run had done before this engine was opened: added to its counters. Default: nothing. */
  readonly before?: Amount;
  /** Names what a worker is at, by task and source of the task. */
  readonly nameOf: (taskId: number, source: number) => string;
}

/** Emits a `progress` Event four times a second while `run` runs, and once at its end. */
export const withProgress = async <T>(
  { engine, emit, estimatedRawBytes, nameOf, before = noAmount }: ProgressOptions,
  run: () => Promise<T>,
): Promise<T> => {
  let last = { atMs: performance.now(), rawBytes: 0 };
  const report = (): void => {
    const { rawBytes, storedBytes, rowCount, workers } = engine.stats();
    const atMs = performance.now();
    const bytesPerSecond = Math.round((Math.max(0, rawBytes - last.rawBytes) * 1000) / Math.max(1, atMs - last.atMs));
    last = { atMs, rawBytes };
    const active = workers.map((worker) => nameOf(worker.taskId, worker.source));
    emit({
      type: 'progress',
      rawBytes: before.rawBytes + rawBytes,
      storedBytes: before.storedBytes + storedBytes,
      rowCount: before.rowCount + rowCount,
      estimatedRawBytes,
      bytesPerSecond,
      rssBytes: measureMemory().rssBytes,
      active,
    });
  };
  const timer = setInterval(report, intervalMs);
  try {
    return await run();
  } finally {
    clearInterval(timer);
    report();
  }
};
