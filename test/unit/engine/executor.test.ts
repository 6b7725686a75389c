import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DbbackupError } from '#src/core/errors.js';
import type { TaskResult } from '#src/core/results.js';
import { type ExecutorListener, runTasks, toTasks } from '#src/engine/executor.js';
import type { CheckTask, Engine } from '#src/native/engine.js';

const toSpec = (taskId: number): CheckTask => ({
  kind: 'check',
  taskId,
  path: '/1',
  sizeBytes: 0,
  checksum: '',
  checksumName: 'xxh3-128',
  codec: 'none',
  segments: [],
});
const toResult = (taskId: number): TaskResult => ({
  taskId,
  files: [],
  segments: [],
  findings: [],
  rawBytes: 0,
  storedBytes: 0,
  rowCount: 0,
  elapsedMs: 1,
});

/** An engine whose tasks end as `run` says: the executor's own logic needs no threads. */
const engineOf = (run: (spec: CheckTask) => Promise<void>) => {
  const state = { isStopped: false, runs: [] as string[] };
  const engine = {
    run: async (spec: CheckTask) => {
      state.runs.push(`${spec.taskId}${spec.path}`);
      await new Promise(setImmediate);
      if (state.isStopped) throw new DbbackupError('cancelled', 'cancelled');
      await run(spec);
      return toResult(spec.taskId);
    },
    stop: () => {
      state.isStopped = true;
    },
  } as unknown as Engine;
  return { engine, state };
};

const listen = (more: Partial<ExecutorListener<CheckTask, number>> = {}) => {
  const told: string[] = [];
  const listener: ExecutorListener<CheckTask, number> = {
    onStarted: ({ origin }) => void told.push(`started ${origin}`),
    onFinished: async ({ origin }) => void told.push(`finished ${origin}`),
    onFailed: ({ origin }, { code }) => void told.push(`failed ${origin} ${code}`),
    ...more,
  };
  return { listener, told };
};

const lost = (): never => {
  throw new DbbackupError('connection_lost', 'it is gone');
};

describe('runTasks', () => {
  it('tries a task again as it is told, at once or behind all others, and tells of one start and one end', async () => {
    const { engine, state } = engineOf(async ({ taskId, path }) => void (taskId === 2 && path !== '/3' && lost()));
    const seen: number[] = [];
    const { listener, told } = listen({
      toRetry: async (_task, { spec, failures }) => {
        seen.push(failures);
        return { spec: { ...spec, path: `/${failures + 1}` }, isLast: failures === 1 };
      },
    });
    await runTasks(engine, toTasks([1, 2, 3, 4], toSpec), 1, listener);
    assert.deepEqual(state.runs, ['1/1', '2/1', '3/1', '4/1', '2/2', '2/3']);
    assert.deepEqual(seen, [1, 2]);
    assert.deepEqual(
      told.filter((text) => text.endsWith('2')),
      ['started 2', 'finished 2'],
    );
  });

  it('fails with the error of a task that is not tried again, or with the one that took its place', async () => {
    const { engine } = engineOf(async ({ taskId }) => void (taskId === 2 && lost()));
    const { listener, told } = listen({ toRetry: async () => null });
    await assert.rejects(runTasks(engine, toTasks([1, 2, 3], toSpec), 1, listener), { code: 'connection_lost' });
    assert.deepEqual(told, ['started 1', 'finished 1', 'started 2', 'failed 2 connection_lost']);

    const other = engineOf(async () => lost());
    const { listener: gone } = listen({
      toRetry: () => Promise.reject(new DbbackupError('snapshot_invalid', 'the snapshot is gone')),
    });
    await assert.rejects(runTasks(other.engine, toTasks([1], toSpec), 1, gone), { code: 'snapshot_invalid' });
  });

  it('wakes those who wait for a retry when another task ends the run', async () => {
    const { engine } = engineOf(async ({ taskId }) => {
      if (taskId === 1) lost();
      if (taskId === 2) throw new DbbackupError('disk_full', 'no space');
    });
    const { listener } = listen({
      toRetry: (_task, { spec, error }, signal) =>
        error.code === 'disk_full'
          ? Promise.resolve(null)
          : new Promise((resolve) => signal.addEventListener('abort', () => resolve({ spec, isLast: false }))),
    });
    await assert.rejects(runTasks(engine, toTasks([1, 2, 3, 4], toSpec), 2, listener), (error: DbbackupError) => {
      assert.equal(error.code, 'disk_full');
      assert.deepEqual(
        error.details.later?.map((later) => (later as DbbackupError).code),
        ['connection_lost'],
      );
      return true;
    });
  });

  it('ends with an error from outside, and ends the watch in every case', async () => {
    const ends: string[] = [];
    const { engine } = engineOf(async () => undefined);
    const { listener } = listen({
      watch: (fail) => {
        fail(new DbbackupError('timeout', 'too long'));
        return () => void ends.push('outside');
      },
    });
    await assert.rejects(runTasks(engine, toTasks([1, 2, 3, 4], toSpec), 2, listener), { code: 'timeout', message: 'too long' });
    const { listener: calm } = listen({ watch: () => () => void ends.push('calm') });
    await runTasks(engineOf(async () => undefined).engine, toTasks([1], toSpec), 2, calm);
    assert.deepEqual(ends, ['outside', 'calm']);
  });
});
