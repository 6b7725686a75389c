import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { planRestore } from '#src/planner/restore-plan.js';

const mib = 1024 * 1024;
const sizes = fc.oneof(fc.nat({ max: 10_000 }), fc.nat({ max: 80 * mib }));
const relations = fc.array(
  fc.record({ segments: fc.array(fc.record({ file: fc.nat({ max: 5 }), offset: fc.nat(), rawBytes: sizes }), { maxLength: 4 }) }),
  { maxLength: 40 },
);

describe('planRestore', () => {
  it('loads every segment in exactly one task, largest first, the same every time', () => {
    fc.assert(
      fc.property(relations, fc.integer({ min: 1, max: 32 }), (given, jobs) => {
        const plan = planRestore(given, { jobs });
        assert.deepEqual(planRestore(given, { jobs }), plan);
        const wanted = given.flatMap(({ segments }, relation) => segments.map((_, segment) => `${relation}/${segment}`));
        const planned = plan.tasks.flatMap(({ segments }) => segments.map(({ relation, segment }) => `${relation}/${segment}`));
        assert.deepEqual(planned.sort(), wanted.sort());
        assert.deepEqual(
          plan.tasks.map(({ taskId }) => taskId),
          plan.tasks.map((_, index) => index + 1),
        );
        for (const [index, task] of plan.tasks.entries()) {
          assert.ok(task.estimatedRawBytes <= (plan.tasks[index - 1]?.estimatedRawBytes ?? Number.POSITIVE_INFINITY));
          const files = task.segments.map(({ relation, segment }) => given[relation]?.segments[segment]?.file);
          assert.equal(new Set(files).size, 1);
          assert.ok(task.segments.length === 1 || (task.estimatedRawBytes <= 64 * mib && task.segments.length <= 500));
        }
      }),
    );
  });

  it('tells which tasks load a large relation, and never loads two of its segments in one', () => {
    fc.assert(
      fc.property(relations, (given) => {
        const plan = planRestore(given, { jobs: 4 });
        const sizeOf = (relation: number): number => given[relation]?.segments.reduce((sum, { rawBytes }) => sum + rawBytes, 0) ?? 0;
        const large = given.flatMap((_, relation) => (sizeOf(relation) >= 64 * mib ? [relation] : []));
        assert.deepEqual(plan.largeRelations.map(({ relation }) => relation).sort(), large.sort());
        for (const { relation, taskIds } of plan.largeRelations) {
          assert.equal(taskIds.length, given[relation]?.segments.length);
          for (const taskId of taskIds)
            assert.deepEqual(
              plan.tasks[taskId - 1]?.segments.map((ref) => ref.relation),
              [relation],
            );
        }
      }),
    );
  });

  it('leaves out what is loaded already, and relations that are loaded as a whole', () => {
    fc.assert(
      fc.property(relations, fc.integer({ min: 0, max: 7 }), (given, salt) => {
        const isLoaded = ({ relation, segment }: { relation: number; segment: number }): boolean =>
          (relation * 31 + segment * 7 + salt) % 3 === 0;
        const plan = planRestore(given, { jobs: 4, isLoaded });
        const wanted = given.flatMap(({ segments }, relation) =>
          segments.flatMap((_, segment) => (isLoaded({ relation, segment }) ? [] : [`${relation}/${segment}`])),
        );
        const planned = plan.tasks.flatMap(({ segments }) => segments.map(({ relation, segment }) => `${relation}/${segment}`));
        assert.deepEqual(planned.sort(), wanted.sort());
        for (const { taskIds } of plan.largeRelations) assert.ok(taskIds.length > 0);
      }),
    );
  });

  it('loads the relations of a packed file together, in its order', () => {
    const packed = Array.from({ length: 12 }, (_, index) => ({ segments: [{ file: 3, offset: (11 - index) * 100, rawBytes: 90 }] }));
    const plan = planRestore([{ segments: [{ file: 0, offset: 0, rawBytes: 100 * mib }] }, ...packed], { jobs: 2 });
    assert.deepEqual(
      plan.tasks.map(({ segments }) => segments.map(({ relation }) => relation)),
      [[0], [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]],
    );
    assert.deepEqual(plan.largeRelations, [{ relation: 0, taskIds: [1] }]);
    assert.equal(plan.estimatedRawBytes, 100 * mib + 12 * 90);
  });
});
