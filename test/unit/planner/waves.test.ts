import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BackupPlan } from '#src/planner/plan.js';
import { queueTasks } from '#src/planner/queue.js';
import { toWaves } from '#src/planner/waves.js';

const named = (text: string) => [...text].map((name) => ({ name }));
const waveNames = (databases: readonly { readonly name: string }[], connectionCount: number, jobs: number) =>
  toWaves(databases, { connectionCount, jobs }).map((wave) => wave.map(({ name }) => name).join(' '));

describe('toWaves', () => {
  it('leaves room for the jobs, a tool and another client', () => {
    assert.deepEqual(waveNames(named('abcde'), 8, 4), ['a b', 'c d', 'e']);
    assert.deepEqual(waveNames(named('abc'), 97, 4), ['a b c']);
  });

  it('takes one database at a time where there is no room at all', () => {
    assert.deepEqual(waveNames(named('ab'), -3, 8), ['a', 'b']);
    assert.deepEqual(waveNames([], 9, 1), []);
  });

  it('lets template1 go before the others are read', () => {
    assert.deepEqual(waveNames([...named('ab'), { name: 'template1' }, ...named('c')], 97, 4), ['template1', 'a b c']);
    assert.deepEqual(waveNames([{ name: 'template1' }], 97, 4), ['template1']);
  });
});

describe('queueTasks', () => {
  const plan = (...sizes: readonly number[]): BackupPlan => ({
    relations: [],
    skipped: [],
    estimatedRawBytes: 0,
    tasks: sizes.map((estimatedRawBytes, index) => ({ taskId: index + 1, chunks: [], estimatedRawBytes })),
  });

  it('puts the largest task first, whichever database it is of, and numbers on', () => {
    const queue = queueTasks(
      [
        { number: 3, snapshot: { number: 1 }, plan: plan(9, 5, 1) },
        { number: 7, snapshot: { number: 2 }, plan: plan(20, 5) },
      ],
      11,
    );
    assert.deepEqual(
      queue.map(({ taskId, database, estimatedRawBytes }) => [taskId, database, estimatedRawBytes]),
      [
        [11, 7, 20],
        [12, 3, 9],
        [13, 3, 5],
        [14, 7, 5],
        [15, 3, 1],
      ],
    );
  });

  it('leaves the order of a single plan as it is', () => {
    const { tasks } = plan(9, 5, 5, 1);
    assert.deepEqual(
      queueTasks([{ number: 1, snapshot: { number: 1 }, plan: plan(9, 5, 5, 1) }]),
      tasks.map((task) => ({ ...task, database: 1, snapshot: 1 })),
    );
  });
});
