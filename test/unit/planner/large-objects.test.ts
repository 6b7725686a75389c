import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { LargeObjectFacts } from '#src/catalog/model.js';
import { planBackup } from '#src/planner/backup-plan.js';
import { toLargeObjectCopyOut } from '#src/planner/large-object-statements.js';
import { estimateLargeObjects, planLargeObjects } from '#src/planner/large-objects.js';
import type { LargeObjectStream } from '#src/planner/plan.js';
import { makeCatalog } from './fixtures.js';

const mib = 1024 ** 2;

const facts: LargeObjectFacts = {
  objectCount: 40_000,
  contentBytes: 800 * mib,
  pageSizeBytes: 2048,
  canReadPages: true,
  pageBoundaries: Array.from({ length: 512 }, (_, index) => ({ oid: 16_400 + index * 80, page: index % 10, rawBytes: (800 * mib) / 512 })),
  oidBoundaries: [],
};

const keys = fc
  .uniqueArray(
    fc.record({
      oid: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      page: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      rawBytes: fc.integer({ min: 0, max: 2 ** 40 }),
    }),
    {
      maxLength: 512,
      selector: ({ oid, page }) => `${oid} ${page}`,
    },
  )
  .map((list) => list.sort((a, b) => a.oid - b.oid || a.page - b.page));
const oids = fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 32 - 1 }), { maxLength: 512 }).map((list) => list.sort((a, b) => a - b));
const anyFacts = fc.record({
  objectCount: fc.integer({ min: 1, max: 1e9 }),
  contentBytes: fc.integer({ min: 0, max: 2 ** 46 }),
  pageSizeBytes: fc.constant(2048),
  canReadPages: fc.boolean(),
  pageBoundaries: keys,
  oidBoundaries: oids,
});

const chunksOf = (plan: ReturnType<typeof planLargeObjects>, stream: LargeObjectStream) => plan.filter((chunk) => chunk.stream === stream);

describe('planLargeObjects', () => {
  it('reads every key of both streams exactly once, in a bounded number of chunks', () => {
    fc.assert(
      fc.property(anyFacts, fc.integer({ min: 1, max: 2 ** 40 }), (some, targetBytes) => {
        const plan = planLargeObjects(some, targetBytes);
        for (const stream of ['content', 'metadata'] as const) {
          const chunks = chunksOf(plan, stream);
          assert.ok(chunks.length >= 1 && chunks.length <= 513);
          assert.equal(chunks[0]?.begin, null);
          assert.equal(chunks.at(-1)?.end, null);
          for (const [index, { end }] of chunks.entries()) {
            const next = chunks[index + 1];
            if (next === undefined) continue;
            assert.deepEqual(next.begin, end);
            assert.ok(end !== null);
            const begin = chunks[index]?.begin ?? { oid: 0, page: 0 };
            assert.ok(end.oid > begin.oid || (end.oid === begin.oid && end.page > begin.page));
          }
          // Objects are the smallest unit of what is told by object.
          if (stream === 'metadata' || !some.canReadPages) assert.ok(chunks.every(({ begin }) => begin === null || begin.page === 0));
        }
      }),
    );
  });

  it('plans nothing where there are none', () => {
    assert.deepEqual(planLargeObjects(null, mib), []);
    assert.equal(estimateLargeObjects(null), 0);
  });

  it('cuts by bytes, names the ranges, and bounds what a restore keeps in a temporary table', () => {
    const names = chunksOf(planLargeObjects(facts, 100 * mib), 'content').map(({ name }) => name);
    assert.equal(names.length, 8);
    assert.equal(names[0], 'large objects chunk 1/8 (OIDs up to 21520 page 3)');
    assert.equal(names[4], 'large objects chunk 5/8 (OIDs 36880 page 6 to 41999)');
    assert.equal(names[7], 'large objects chunk 8/8 (OIDs from 52240 page 8)');
    const pageBoundaries = facts.pageBoundaries.map((boundary) => ({ ...boundary, rawBytes: (100_000 * mib) / 512 }));
    const huge = chunksOf(planLargeObjects({ ...facts, contentBytes: 100_000 * mib, pageBoundaries }, 10_000 * mib), 'content');
    assert.equal(huge.length, 512);
    assert.ok(huge.every(({ estimatedRawBytes }) => estimatedRawBytes <= 256 * mib));
  });

  it('cuts where the bytes are, not where the blocks are: compressed pages are many to a block', () => {
    const pageBoundaries = facts.pageBoundaries.map((boundary, index) => ({ ...boundary, rawBytes: index < 256 ? mib : 60 * mib }));
    const plan = chunksOf(planLargeObjects({ ...facts, contentBytes: 256 * 61 * mib, pageBoundaries }, 1024 * mib), 'content');
    for (const { begin, end } of plan) {
      const isWithin = ({ oid }: { readonly oid: number }) => (begin === null || oid >= begin.oid) && (end === null || oid < end.oid);
      const rawBytes = pageBoundaries.filter(isWithin).reduce((sum, boundary) => sum + boundary.rawBytes, 0);
      assert.ok(rawBytes > 0 && rawBytes <= 256 * mib, `${rawBytes}`);
    }
    assert.ok(plan.length < 80, `${plan.length}`);
  });

  it('cuts a single object by its pages', () => {
    const pageBoundaries = Array.from({ length: 512 }, (_, index) => ({ oid: 7, page: index * 100, rawBytes: (800 * mib) / 512 }));
    const names = chunksOf(planLargeObjects({ ...facts, objectCount: 1, pageBoundaries }, 400 * mib), 'content').map(({ name }) => name);
    assert.deepEqual(names.slice(1, 3), [
      'large objects chunk 2/4 (OIDs 7 page 12800 to 7 page 25599)',
      'large objects chunk 3/4 (OIDs 7 page 25600 to 7 page 38399)',
    ]);
  });

  it('tells the objects of 100 000 in one chunk, and gives large ones the tasks of a backup', () => {
    const oidBoundaries = Array.from({ length: 512 }, (_, index) => 1000 * (index + 1));
    const metadata = chunksOf(planLargeObjects({ ...facts, objectCount: 512_000, oidBoundaries }, mib), 'metadata');
    assert.equal(metadata.length, 6);
    assert.equal(metadata[1]?.name, 'large objects (metadata) chunk 2/6 (OIDs 86000 to 170999)');
    const catalog = { ...makeCatalog([]), largeObjects: facts };
    const plan = planBackup(catalog, { jobs: 2, chunkSizeBytes: 1024 * mib, format: 'auto' });
    assert.equal(plan.estimatedRawBytes, estimateLargeObjects(facts));
    assert.equal(plan.tasks.length, 9);
    assert.deepEqual(
      plan.tasks.at(-1)?.chunks.map(({ name }) => name),
      ['large objects (metadata)'],
    );
    const small = planBackup(
      { ...catalog, largeObjects: { ...facts, contentBytes: 8192, pageBoundaries: [] } },
      { jobs: 2, chunkSizeBytes: mib, format: 'auto' },
    );
    assert.deepEqual(small.tasks.flatMap(({ chunks }) => chunks.map(({ name }) => name)).sort(), [
      'large objects',
      'large objects (metadata)',
    ]);
  });
});

describe('statements that read large objects', () => {
  const range = { begin: { oid: 5, page: 3 }, end: { oid: 9, page: 0 }, estimatedRawBytes: 1, name: '' };

  it('choose pages by their keys', () => {
    const { copySql } = toLargeObjectCopyOut({ ...range, stream: 'content' }, facts, 'pages');
    assert.ok(
      copySql.includes(
        'm.oid >= 5 AND (p.loid, p.pageno) >= (5::pg_catalog.oid, 3) AND m.oid <= 9 AND (p.loid, p.pageno) < (9::pg_catalog.oid, 0)',
      ),
      copySql,
    );
    assert.match(copySql, /^COPY \(.*\) TO STDOUT \(FORMAT binary\)$/s);
    const whole = toLargeObjectCopyOut({ ...range, begin: null, end: null, stream: 'content' }, facts, 'pages');
    assert.match(whole.copySql, /WHERE m\.oid = p\.loid AND \(pg_catalog\.octet_length\(p\.data\) > 0 OR NOT EXISTS .* ORDER BY/);
  });

  it('choose objects where there is no other way', () => {
    for (const [stream, method, format] of [
      ['content', 'functions', 'binary'],
      ['metadata', 'pages', 'text'],
    ] as const) {
      const { copySql } = toLargeObjectCopyOut({ ...range, stream }, facts, method);
      assert.match(copySql, / WHERE m\.oid >= 5 AND m\.oid < 9 ORDER BY m\.oid/);
      assert.ok(copySql.endsWith(`(FORMAT ${format})`));
    }
  });
});
