import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Spread } from '#src/planner/spread.js';

interface Task {
  readonly name: string;
  readonly relation: number | null;
  readonly estimatedRawBytes: number;
}

const tasks = (relation: number | null, ...sizes: readonly number[]): readonly Task[] =>
  sizes.map((estimatedRawBytes, index) => ({ name: `${relation ?? 'small'}.${index}`, relation, estimatedRawBytes }));

const take = (spread: Iterator<Task>, count: number): readonly string[] =>
  Array.from({ length: count }, () => {
    const next = spread.next();
    return next.done === true ? 'none' : next.value.name;
  });

describe('Spread', () => {
  it('gives equal relations equal numbers of workers, each in its order', () => {
    const spread = new Spread([...tasks(1, 10, 10, 10), ...tasks(2, 10, 10, 10)], ({ relation }) => relation);
    assert.deepEqual(take(spread[Symbol.iterator](), 7), ['1.0', '2.0', '1.1', '2.1', '1.2', '2.2', 'none']);
  });

  it('gives most workers to the relation that is most of what is left', () => {
    const spread = new Spread([...tasks(1, 10, 10, 10, 10, 10, 10), ...tasks(2, 10), ...tasks(3, 10)], ({ relation }) => relation);
    assert.deepEqual(take(spread[Symbol.iterator](), 4), ['1.0', '1.1', '1.2', '2.0']);
  });

  it('counts a worker as free again once its task is released', () => {
    const all = [...tasks(1, 10, 10, 10), ...tasks(2, 12, 12)];
    const spread = new Spread(all, ({ relation }) => relation);
    const iterator = spread[Symbol.iterator]();
    assert.deepEqual(take(iterator, 2), ['1.0', '2.0']);
    const [first] = all;
    if (first !== undefined) spread.release(first);
    assert.deepEqual(take(iterator, 1), ['1.1']);
  });

  it('gives out every task exactly once, whatever is released when', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ relation: fc.option(fc.integer({ min: 0, max: 4 })), estimatedRawBytes: fc.nat(100) })),
        fc.array(fc.boolean()),
        (list, releases) => {
          const all = list.map((task, index): Task => ({ name: String(index), ...task }));
          const spread = new Spread(all, ({ relation }) => relation);
          const given: Task[] = [];
          for (const task of spread) {
            given.push(task);
            if (releases[given.length] === true) spread.release(task);
          }
          assert.deepEqual(given.map(({ name }) => name).sort(), all.map(({ name }) => name).sort());
        },
      ),
    );
  });
});
