import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { largestFirst, pack } from '#src/planner/order.js';

const items = fc.array(fc.record({ estimatedRawBytes: fc.nat({ max: 1000 }), name: fc.string() }));

describe('largestFirst', () => {
  it('sorts by size, keeps the order of equals and the list it was given', () => {
    fc.assert(
      fc.property(items, (given) => {
        const before = [...given];
        const sorted = largestFirst(given);
        assert.deepEqual(given, before);
        for (const [index, item] of sorted.entries()) {
          const next = sorted[index + 1];
          if (next === undefined) continue;
          assert.ok(item.estimatedRawBytes >= next.estimatedRawBytes);
          if (item.estimatedRawBytes === next.estimatedRawBytes) assert.ok(given.indexOf(item) < given.indexOf(next));
        }
        assert.equal(sorted.length, given.length);
      }),
    );
  });
});

describe('pack', () => {
  it('keeps order and limits and loses nothing', () => {
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 10 }), (given, maxBytes, maxCount) => {
        const groups = pack(given, { maxBytes, maxCount });
        assert.deepEqual(groups.flat(), given);
        for (const group of groups) {
          assert.ok(group.length >= 1 && group.length <= maxCount);
          assert.ok(group.length === 1 || group.reduce((sum, { estimatedRawBytes }) => sum + estimatedRawBytes, 0) <= maxBytes);
        }
      }),
    );
  });
});
