import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Relation } from '#src/catalog/model.js';
import { planBackup } from '#src/planner/backup-plan.js';
import { type BackupPlan, type BackupPlanOptions, isRelationChunk } from '#src/planner/plan.js';
import { builtIn, column, makeCatalog, makeRelation } from './fixtures.js';

const kib = 1024;
const mib = 1024 * kib;
const gib = 1024 * mib;
const options: BackupPlanOptions = { jobs: 4, chunkSizeBytes: gib, format: 'auto' };

const only = (relation: Relation, chosen: Partial<BackupPlanOptions> = {}, facts: Parameters<typeof makeCatalog>[1] = {}): BackupPlan =>
  planBackup(makeCatalog([relation], facts), { ...options, ...chosen });

/** Every relation's chunks, in order of their ranges. */
const chunksOf = (plan: BackupPlan, relation: number) =>
  plan.tasks
    .flatMap(({ chunks }) => chunks.filter(isRelationChunk).filter((chunk) => chunk.relation === relation))
    .sort((a, b) => (a.beginBlock ?? 0) - (b.beginBlock ?? 0));

const sizes = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 64 * kib }),
  fc.integer({ min: 0, max: 32 * mib }),
  fc.integer({ min: 0, max: 8 * gib }),
);
const relations = fc.array(
  fc
    .record({
      heapBytes: sizes.map((bytes) => Math.ceil(bytes / 8192) * 8192),
      toastBytes: sizes,
      kind: fc.constantFrom('r' as const, 'r' as const, 'r' as const, 'p' as const),
      accessMethod: fc.constantFrom('heap', 'heap', 'columnar'),
      condition: fc.constantFrom(null, null, '', 'WHERE true'),
      isUnlogged: fc.boolean(),
    })
    .map(makeRelation),
  { maxLength: 30 },
);
const catalogs = fc
  .tuple(relations, fc.constantFrom(130010, 140000, 180006), fc.boolean())
  .map(([list, version, isStandby]) => makeCatalog(list, { version, isStandby }));
const choices = fc.record({
  jobs: fc.integer({ min: 1, max: 64 }),
  chunkSizeBytes: fc.integer({ min: 32 * mib, max: 4 * gib }),
  format: fc.constantFrom('auto' as const, 'binary' as const, 'text' as const),
});

describe('planBackup', () => {
  it('reads every row exactly once', () => {
    fc.assert(
      fc.property(catalogs, choices, (catalog, chosen) => {
        const plan = planBackup(catalog, chosen);
        const withRows = catalog.relations.filter(({ kind }) => kind === 'r').map(({ oid }) => oid);
        assert.deepEqual([...plan.relations, ...plan.skipped].map(({ oid }) => oid).sort(), withRows.sort());
        for (const [index, { readMethod, chunkCount }] of plan.relations.entries()) {
          const chunks = chunksOf(plan, index);
          assert.equal(chunks.length, chunkCount);
          assert.equal(chunkCount > 1, readMethod === 'ctid-ranges');
          if (readMethod === 'whole') assert.deepEqual([chunks[0]?.beginBlock, chunks[0]?.endBlock], [null, null]);
          else assert.deepEqual([chunks[0]?.beginBlock, chunks.at(-1)?.endBlock], [0, null]);
          for (const [at, chunk] of chunks.entries()) {
            const next = chunks[at + 1];
            if (next !== undefined) assert.equal(chunk.endBlock, next.beginBlock);
            if (next !== undefined) assert.ok((chunk.endBlock ?? 0) > (chunk.beginBlock ?? 0));
          }
        }
      }),
    );
  });

  it('bounds tasks, numbers them in order, largest first, and is the same every time', () => {
    fc.assert(
      fc.property(catalogs, choices, (catalog, chosen) => {
        const plan = planBackup(catalog, chosen);
        assert.deepEqual(planBackup(JSON.parse(JSON.stringify(catalog)), chosen), plan);
        assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan);
        assert.deepEqual(
          plan.tasks.map(({ taskId }) => taskId),
          plan.tasks.map((_, index) => index + 1),
        );
        for (const [index, task] of plan.tasks.entries()) {
          assert.ok(task.estimatedRawBytes <= (plan.tasks[index - 1]?.estimatedRawBytes ?? Number.POSITIVE_INFINITY));
          assert.ok(task.chunks.length >= 1 && task.chunks.length <= 500);
          assert.equal(
            task.estimatedRawBytes,
            task.chunks.reduce((sum, chunk) => sum + chunk.estimatedRawBytes, 0),
          );
          if (task.chunks.length === 1) continue;
          assert.ok(task.estimatedRawBytes <= 64 * mib);
          for (const chunk of task.chunks.filter(isRelationChunk)) assert.equal(plan.relations[chunk.relation]?.readMethod, 'whole');
        }
      }),
    );
  });

  it('cuts no chunk above the target that has more than one block', () => {
    fc.assert(
      fc.property(catalogs, choices, (catalog, chosen) => {
        const plan = planBackup(catalog, chosen);
        for (const [index, relation] of plan.relations.entries()) {
          if (relation.readMethod === 'whole') continue;
          for (const chunk of chunksOf(plan, index)) {
            const blocks = (chunk.endBlock ?? Number.POSITIVE_INFINITY) - (chunk.beginBlock ?? 0);
            // One block more than the average is the price of whole blocks.
            assert.ok(
              blocks === 1 || chunk.endBlock === null || chunk.estimatedRawBytes <= chosen.chunkSizeBytes * (1 + 1 / (blocks - 1)) + 1,
            );
          }
        }
      }),
    );
  });

  it('splits 3 GB of heap with 900 GB of TOAST as finely as 903 GB of heap', () => {
    const plan = only(makeRelation({ heapBytes: 3 * gib, toastBytes: 900 * gib }));
    assert.equal(plan.relations[0]?.chunkCount, 903);
    assert.equal(plan.tasks.length, 903);
    assert.ok(plan.tasks.every(({ estimatedRawBytes }) => estimatedRawBytes <= 1.01 * gib));
  });

  it('splits few blocks with much TOAST down to single blocks', () => {
    const plan = only(makeRelation({ name: 'documents', heapBytes: 3 * 8192, toastBytes: 50 * gib }));
    assert.deepEqual(
      chunksOf(plan, 0).map(({ name }) => name),
      [
        'public.documents chunk 1/3 (ctid blocks 0 to 0)',
        'public.documents chunk 2/3 (ctid blocks 1 to 1)',
        'public.documents chunk 3/3 (ctid blocks from 2)',
      ],
    );
    assert.equal(plan.relations[0]?.readReason, 'larger than a chunk: 3 ranges of 3 blocks');
    assert.equal(only(makeRelation({ heapBytes: 8192, toastBytes: 50 * gib })).relations[0]?.readReason, 'all rows are in one block');
  });

  it('is exact for a relation of 4294967295 blocks', () => {
    const plan = only(makeRelation({ heapBytes: 4294967295 * 8192 }), { chunkSizeBytes: 512 * mib, jobs: 64 });
    const chunks = chunksOf(plan, 0);
    assert.equal(chunks.length, 2 ** 16);
    assert.equal(chunks.at(-1)?.beginBlock, 4294967295 - 65535);
    assert.ok(Math.abs(chunks.reduce((sum, { estimatedRawBytes }) => sum + estimatedRawBytes, 0) - 4294967295 * 8192) <= chunks.length);
  });

  it('says why a large relation is not split', () => {
    const large = { heapBytes: 20 * gib };
    const reasonOf = (plan: BackupPlan): string | undefined => plan.relations[0]?.readReason;
    assert.equal(reasonOf(only(makeRelation({ ...large, accessMethod: 'columnar' }))), 'access method columnar has no TID ranges');
    assert.equal(reasonOf(only(makeRelation(large), {}, { version: 130023 })), 'servers before 14 read the whole table for each TID range');
    assert.equal(
      reasonOf(only(makeRelation({ ...large, condition: 'WHERE true' }))),
      'only rows that meet the condition of its extension are saved',
    );
    assert.equal(only(makeRelation({ ...large, condition: '' })).relations[0]?.readMethod, 'ctid-ranges');
    assert.equal(reasonOf(only(makeRelation({ heapBytes: 8192 }))), 'smaller than a chunk');
  });

  it('balances what is smaller than a chunk, but not below 16 MiB', () => {
    assert.equal(only(makeRelation({ heapBytes: gib })).relations[0]?.chunkCount, 16);
    assert.equal(only(makeRelation({ heapBytes: gib }), { jobs: 1 }).relations[0]?.chunkCount, 4);
    assert.equal(only(makeRelation({ heapBytes: 64 * mib })).relations[0]?.chunkCount, 4);
    assert.equal(only(makeRelation({ heapBytes: 4 * mib }), { chunkSizeBytes: mib }).relations[0]?.chunkCount, 4);
  });

  it('packs small relations, with work for every job', () => {
    const plan = planBackup(makeCatalog(Array.from({ length: 300 }, () => makeRelation({ heapBytes: 48 * kib }))), options);
    assert.ok(plan.tasks.length >= 8 && plan.tasks.length <= 16, String(plan.tasks.length));
    const tiny = planBackup(makeCatalog(Array.from({ length: 3 }, () => makeRelation())), options);
    assert.deepEqual(
      tiny.tasks.map(({ chunks }) => chunks.length),
      [3],
    );
    const many = planBackup(makeCatalog(Array.from({ length: 20_000 }, () => makeRelation())), options);
    assert.deepEqual(
      many.tasks.map(({ chunks }) => chunks.length),
      Array.from({ length: 40 }, () => 500),
    );
  });

  it('names nothing that has no rows, and skips unlogged tables of a standby aloud', () => {
    const list = [
      makeRelation({ kind: 'p', accessMethod: null, fileNode: 0 }),
      makeRelation({ name: 'fleeting', isUnlogged: true }),
      makeRelation({ name: 'kept' }),
    ];
    const primary = planBackup(makeCatalog(list), options);
    assert.deepEqual([primary.relations.map(({ name }) => name), primary.skipped], [['fleeting', 'kept'], []]);
    const standby = planBackup(makeCatalog(list, { isStandby: true }), options);
    assert.deepEqual(
      standby.relations.map(({ name }) => name),
      ['kept'],
    );
    assert.deepEqual(
      standby.skipped.map(({ name, reason }) => [name, reason]),
      [['fleeting', 'unlogged tables have no rows on a standby']],
    );
    assert.deepEqual(planBackup(makeCatalog([]), options), { relations: [], skipped: [], tasks: [], estimatedRawBytes: 0 });
  });

  it('carries the format and its reason', () => {
    const relation = makeRelation({ columns: [column('payload', builtIn('bytea'))] });
    assert.deepEqual([only(relation).relations[0]?.format, only(relation, { format: 'text' }).relations[0]?.format], ['binary', 'text']);
    assert.match(only(relation).relations[0]?.formatReason ?? '', /payload/);
  });

  it('keeps names on one line', () => {
    const plan = only(makeRelation({ schema: 'pub\tlic', name: 'two\nlines' }));
    assert.equal(plan.tasks[0]?.chunks[0]?.name, 'pub\\u0009lic.two\\u000alines');
  });
});
