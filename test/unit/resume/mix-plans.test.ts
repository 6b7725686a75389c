import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Catalog, LargeObjectFacts, Relation } from '#src/catalog/model.js';
import { planBackup } from '#src/planner/backup-plan.js';
import { type BackupPlan, isRelationChunk } from '#src/planner/plan.js';
import { type EarlierReading, mixPlans } from '#src/resume/mix-plans.js';
import { makeCatalog, makeRelation } from '../planner/fixtures.js';

const options = { jobs: 2, chunkSizeBytes: 1024 ** 2, format: 'auto' } as const;
const largeObjects: LargeObjectFacts = {
  objectCount: 3,
  contentBytes: 5 * 1024 ** 2,
  pageSizeBytes: 2048,
  canReadPages: true,
  pageBoundaries: [],
  oidBoundaries: [],
};

/** A relation of `size` chunks; members of one tree have its OID. */
const table = (oid: number, size: number, fields: Partial<Relation> = {}): Relation =>
  makeRelation({ oid, name: `t${oid}`, quotedName: `public.t${oid}`, heapBytes: size * 1024 ** 2, ...fields });

const toReading = (snapshot: number, catalog: Catalog, plan: BackupPlan, isFinished: (taskId: number) => boolean): EarlierReading => ({
  snapshot,
  catalog,
  plan,
  tasks: plan.tasks,
  finished: new Set(plan.tasks.map(({ taskId }) => taskId).filter(isFinished)),
});

const oidsOf = (plan: BackupPlan): ReadonlySet<number> =>
  new Set(plan.tasks.flatMap(({ chunks }) => chunks.filter(isRelationChunk).map((chunk) => plan.relations[chunk.relation]?.oid ?? 0)));

const hasLargeObjects = (plan: BackupPlan): boolean => plan.tasks.some(({ chunks }) => chunks.some((chunk) => !isRelationChunk(chunk)));

describe('mixPlans', () => {
  it('keeps what was read whole and is the same, and reads the rest anew', () => {
    const before = makeCatalog([table(1, 3), table(2, 3), table(3, 0), table(4, 0)]);
    const plan = planBackup(before, options);
    const isOfSecond = (taskId: number): boolean =>
      plan.tasks.find((task) => task.taskId === taskId)?.chunks.some((chunk) => isRelationChunk(chunk) && chunk.relation === 1) === true;
    const now = makeCatalog([table(1, 9), table(2, 3), table(3, 0, { definition: '2' }), table(5, 0)]);
    const mixed = mixPlans([toReading(1, before, plan, (taskId) => !isOfSecond(taskId))], now, planBackup(now, options));
    assert.deepEqual(mixed.kept, [{ snapshot: 1, relationOids: [1], areLargeObjectsKept: false }]);
    assert.deepEqual([...oidsOf(mixed.plan)].sort(), [2, 3, 5]);
    assert.deepEqual(
      mixed.plan.relations.map(({ oid }) => oid),
      [1, 2, 3, 5],
    );
  });

  it('keeps a tree whole or not at all: not after a member came, went or changed', () => {
    const tree = [table(1, 0, { kind: 'p', treeOid: 1 }), table(2, 1, { treeOid: 1 }), table(3, 1, { treeOid: 1 })];
    const before = makeCatalog(tree);
    const reading = toReading(1, before, planBackup(before, options), () => true);
    const keptOf = (relations: readonly Relation[]): readonly number[] => {
      const now = makeCatalog(relations);
      return mixPlans([reading], now, planBackup(now, options)).kept.flatMap(({ relationOids }) => relationOids);
    };
    assert.deepEqual(keptOf(tree), [2, 3]);
    assert.deepEqual(keptOf([...tree, table(4, 0, { treeOid: 1 })]), []);
    assert.deepEqual(keptOf(tree.slice(0, 2)), []);
    assert.deepEqual(keptOf([table(1, 0, { kind: 'p', treeOid: 1, definition: 'other' }), ...tree.slice(1)]), []);
  });

  it('takes no relation of two snapshots, loses none, and keeps nothing that was not read whole, whatever has happened', () => {
    const relation = fc.record({ size: fc.integer({ min: 0, max: 4 }), tree: fc.integer({ min: 0, max: 3 }) });
    const change = fc.constantFrom('same', 'same', 'changed', 'dropped', 'grown');
    fc.assert(
      fc.property(
        fc.array(relation, { minLength: 1, maxLength: 12 }),
        fc.array(
          fc.tuple(
            fc.array(change, { minLength: 12, maxLength: 12 }),
            fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
            fc.boolean(),
          ),
          {
            minLength: 1,
            maxLength: 3,
          },
        ),
        (relations, attempts) => {
          let current = relations.map(({ size, tree }, index) =>
            table(index + 10, size, tree === 0 ? {} : { treeOid: 10 + relations.findIndex((each) => each.tree === tree) }),
          );
          const earlier: EarlierReading[] = [];
          let last: ReturnType<typeof mixPlans> | null = null;
          for (const [changes, finished, hasObjects] of [...attempts, [[], [], true] as const]) {
            current = current.flatMap((each, index) => {
              const what = changes[index];
              if (what === 'dropped') return [];
              if (what === 'changed') return [{ ...each, definition: `${each.definition}'` }];
              return what === 'grown' ? [{ ...each, heapBytes: each.heapBytes * 3 }] : [each];
            });
            const catalog = { ...makeCatalog(current), largeObjects: hasObjects ? largeObjects : null };
            last = mixPlans(earlier, catalog, planBackup(catalog, options));
            checkMix(last, earlier, catalog);
            earlier.unshift(toReading(earlier.length + 1, catalog, last.plan, (taskId) => finished[taskId] ?? true));
          }
          assert.ok(last !== null);
        },
      ),
      { numRuns: 300 },
    );
  });
});

const checkMix = ({ plan, kept }: ReturnType<typeof mixPlans>, earlier: readonly EarlierReading[], catalog: Catalog): void => {
  const keptOids = kept.flatMap(({ relationOids }) => relationOids);
  const read = oidsOf(plan);
  assert.equal(new Set(keptOids).size, keptOids.length, 'of one snapshot each');
  assert.ok(
    keptOids.every((oid) => !read.has(oid)),
    'never of both',
  );
  assert.deepEqual([...keptOids, ...read].sort(), plan.relations.map(({ oid }) => oid).sort(), 'none lost');
  const snapshotOf = new Map(kept.flatMap(({ snapshot, relationOids }) => relationOids.map((oid) => [oid, snapshot] as const)));
  for (const { oid, treeOid, definition } of catalog.relations) {
    const snapshot = snapshotOf.get(oid);
    for (const other of catalog.relations) {
      if (treeOid !== null && other.treeOid === treeOid && other.kind === 'r')
        assert.equal(snapshotOf.get(other.oid), snapshot, 'a tree is of one snapshot');
    }
    if (snapshot === undefined) continue;
    const reading = earlier.find((each) => each.snapshot === snapshot);
    assert.equal(reading?.catalog.relations.find((each) => each.oid === oid)?.definition, definition);
    const tasks =
      reading?.tasks.filter(({ chunks }) =>
        chunks.some((chunk) => isRelationChunk(chunk) && reading.plan.relations[chunk.relation]?.oid === oid),
      ) ?? [];
    assert.ok(tasks.length > 0 && tasks.every(({ taskId }) => reading?.finished.has(taskId)), 'read whole');
  }
  assert.ok(kept.filter(({ areLargeObjectsKept }) => areLargeObjectsKept).length <= 1);
  if (kept.some(({ areLargeObjectsKept }) => areLargeObjectsKept)) assert.equal(hasLargeObjects(plan), false);
};
