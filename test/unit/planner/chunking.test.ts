import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { countBlocks, countRanges, splitBlocks } from '#src/planner/chunking.js';

const maxBlocks = 2 ** 32 - 1;

describe('splitBlocks', () => {
  it('covers every block exactly once, in equal lengths, with the last range open', () => {
    const sizes = fc
      .integer({ min: 1, max: maxBlocks })
      .chain((blocks) => fc.tuple(fc.constant(blocks), fc.integer({ min: 1, max: Math.min(blocks, 500) })));
    fc.assert(
      fc.property(sizes, ([blocks, count]) => {
        const ranges = splitBlocks(blocks, count);
        assert.equal(ranges.length, count);
        assert.equal(ranges[0]?.begin, 0);
        assert.equal(ranges.at(-1)?.end, null);
        const lengths = ranges.map(({ begin, end }, index) => {
          if (end !== null) assert.equal(ranges[index + 1]?.begin, end);
          return (end ?? blocks) - begin;
        });
        assert.ok(lengths.every((length) => Number.isSafeInteger(length) && length >= 1));
        assert.ok(Math.max(...lengths) - Math.min(...lengths) <= 1);
        assert.deepEqual(
          lengths,
          [...lengths].sort((a, b) => b - a),
        );
      }),
    );
  });

  it('is exact at the largest relation PostgreSQL knows', () => {
    const ranges = splitBlocks(maxBlocks, 200_000);
    assert.equal(ranges.at(-1)?.begin, maxBlocks - Math.floor(maxBlocks / 200_000));
    assert.equal(
      ranges.reduce((sum, { begin, end }) => sum + ((end ?? maxBlocks) - begin), 0),
      maxBlocks,
    );
  });
});

describe('countRanges', () => {
  it('makes ranges of at most the target, but never more than blocks', () => {
    const bytes = fc.integer({ min: 0, max: 2 ** 46 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: maxBlocks }), bytes, fc.integer({ min: 1, max: 2 ** 40 }), (blocks, estimated, target) => {
        const count = countRanges(blocks, estimated, target);
        assert.ok(count >= 1 && count <= Math.max(1, blocks));
        assert.ok(count === Math.max(1, blocks) || estimated / count <= target);
      }),
    );
  });
});

describe('countBlocks', () => {
  it('counts a torn last block', () => {
    assert.deepEqual(
      [0, 1, 8192, 8193].map((size) => countBlocks(size, 8192)),
      [0, 1, 1, 2],
    );
    assert.equal(countBlocks(maxBlocks * 32768, 32768), maxBlocks);
  });
});
