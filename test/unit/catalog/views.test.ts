import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { orderRefresh, type View } from '#src/catalog/views.js';

const view = (oid: number, fields: Partial<View> = {}): View => ({
  oid,
  schema: 'public',
  name: `v${oid}`,
  quotedName: `public.v${oid}`,
  kind: 'm',
  isPopulated: true,
  ...fields,
});

const order = (views: readonly View[], dependencies: readonly (readonly [number, number])[]) => {
  const { materializedViews, warnings } = orderRefresh(views, dependencies);
  return { oids: materializedViews.map(({ oid }) => oid), warnings };
};

describe('orderRefresh', () => {
  it('puts a view behind all it reads, directly and through plain views', () => {
    const graphs = fc.integer({ min: 1, max: 12 }).chain((count) =>
      fc.tuple(
        fc.array(fc.boolean(), { minLength: count, maxLength: count }),
        fc.array(fc.tuple(fc.nat({ max: count - 1 }), fc.nat({ max: count - 1 })), { maxLength: 30 }),
        fc.shuffledSubarray(
          Array.from({ length: count }, (_, index) => index),
          { minLength: count },
        ),
      ),
    );
    fc.assert(
      fc.property(graphs, ([arePlain, pairs, shuffled]) => {
        const views = shuffled.map((oid) => view(oid, { kind: arePlain[oid] === true ? 'v' : 'm' }));
        // A view can read only what exists: smaller numbers.
        const dependencies = pairs.filter(([reader, read]) => read < reader);
        const { oids, warnings } = order(views, dependencies);
        assert.deepEqual(warnings, []);
        assert.deepEqual(
          [...oids].sort(),
          views
            .filter(({ kind }) => kind === 'm')
            .map(({ oid }) => oid)
            .sort(),
        );
        const reach = (oid: number): readonly number[] =>
          dependencies.filter(([reader]) => reader === oid).flatMap(([, read]) => [read, ...reach(read)]);
        for (const [at, oid] of oids.entries()) for (const read of reach(oid)) assert.ok(!oids.includes(read) || oids.indexOf(read) < at);
      }),
    );
  });

  it('warns of views that read an unpopulated one, at any distance', () => {
    const views = [view(1, { isPopulated: false }), view(2, { kind: 'v' }), view(3), view(4), view(5)];
    const { oids, warnings } = order(views, [
      [2, 1],
      [3, 2],
      [4, 3],
    ]);
    assert.deepEqual(oids, [5]);
    assert.deepEqual(warnings, [
      'materialized view public.v3 will be restored without rows: it reads public.v2, which is not populated or reads one that is not',
      'materialized view public.v4 will be restored without rows: it reads public.v3, which is not populated or reads one that is not',
    ]);
  });

  it('survives cycles, unknown views and chains deeper than the call stack', () => {
    assert.deepEqual(
      order(
        [view(1), view(2)],
        [
          [1, 2],
          [2, 1],
          [1, 99],
        ],
      ).oids.sort(),
      [1, 2],
    );
    const deep = Array.from({ length: 30_000 }, (_, index) => view(30_000 - index));
    const { oids } = order(
      deep,
      deep.slice(0, -1).map(({ oid }) => [oid, oid - 1] as const),
    );
    assert.deepEqual([oids.length, oids[0], oids.at(-1)], [30_000, 1, 30_000]);
  });
});
