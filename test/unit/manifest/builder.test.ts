import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DbbackupError } from '#src/core/errors.js';
import type { Event } from '#src/core/events.js';
import { buildManifest, type DatabaseFacts, ManifestBuilder, type ManifestFacts } from '#src/manifest/builder.js';
import { sumDigests } from '#src/manifest/digest.js';
import type { SkippedRelation } from '#src/planner/plan.js';
import { finishedAt, run, sampleManifest, toFacts, toFinished, toRelation } from './sample.js';

const throwsWith = (code: string, fn: () => unknown): void =>
  assert.throws(fn, (error) => error instanceof DbbackupError && error.code === code);

const withDatabase = (facts: ManifestFacts, change: (database: DatabaseFacts) => Partial<DatabaseFacts>): ManifestFacts => ({
  ...facts,
  databases: facts.databases.map((database) => ({ ...database, ...change(database) })),
});

const segment = (source: number) => ({ source, storedBytes: 10, rawBytes: 100, rowCount: 1, digest: '1'.repeat(32) });

describe('manifest builder', () => {
  it('records what was planned and what was written', () => {
    const manifest = sampleManifest();
    const [orders, hostile, big] = manifest.databases[0]?.relations ?? [];
    assert.deepEqual(
      manifest.files.map(({ path, sizeBytes }) => [path, sizeBytes]),
      [
        ['data/t000001-a1-p001.zst', 30],
        ['data/t000001-a1-p002.zst', 40],
        ['data/t000002-a1-p001.zst', 30],
      ],
    );
    assert.deepEqual(
      big?.segments.map(({ file, offset }) => [file, offset]),
      [
        [0, 0],
        [1, 0],
      ],
    );
    assert.deepEqual(
      orders?.segments.map(({ file, offset }) => [file, offset]),
      [[2, 0]],
    );
    assert.deepEqual(
      hostile?.segments.map(({ file, offset }) => [file, offset]),
      [[2, 10]],
    );
    assert.equal(big?.digest, '7'.repeat(32));
    assert.deepEqual(manifest.totals, { rowCount: 10, rawBytes: 1000, storedBytes: 100, relationCount: 3, fileCount: 3 });
    assert.equal(manifest.databases[0]?.name, 'shop');
  });

  it('gives the same manifest in whatever order tasks finish, and however often one is reported', () => {
    fc.assert(
      fc.property(run, fc.infiniteStream(fc.nat()), ({ facts, events }, randoms) => {
        const manifest = buildManifest(facts, events, finishedAt);
        const shuffled = [...events, ...events.slice(0, 1)]
          .map((event) => [randoms.next().value ?? 0, event] as const)
          .sort(([a], [b]) => a - b);
        assert.deepEqual(
          buildManifest(
            facts,
            shuffled.map(([, event]) => event),
            finishedAt,
          ),
          manifest,
        );
      }),
      { numRuns: 50 },
    );
  });

  it('loses and invents nothing', () => {
    fc.assert(
      fc.property(run, ({ facts, events }) => {
        const manifest = buildManifest(facts, events, finishedAt);
        const finished = events.flatMap((event) => (event.type === 'chunk.finished' ? [event] : []));
        const relations = manifest.databases.flatMap((database) => database.relations);
        for (const field of ['rowCount', 'rawBytes', 'storedBytes'] as const)
          assert.equal(
            manifest.totals[field],
            finished.reduce((sum, event) => sum + event[field], 0),
          );
        assert.equal(relations.length, facts.databases.flatMap(({ catalog }) => catalog.relations).length);
        assert.equal(relations.flatMap(({ segments }) => segments).length, finished.flatMap((event) => event.segments ?? []).length);
        assert.equal(manifest.files.length, finished.flatMap((event) => event.files ?? []).length);
        assert.equal(
          sumDigests(relations.map(({ digest }) => digest)),
          sumDigests(finished.flatMap((event) => event.segments ?? []).map(({ digest }) => digest)),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('counts the last attempt of a task', () => {
    const facts = toFacts([toRelation(1, 't')], [[0]]);
    const manifest = buildManifest(
      facts,
      [toFinished(1, 1, [segment(0)], [], 'a'.repeat(32)), toFinished(1, 2, [segment(0)], [], 'b'.repeat(32))],
      finishedAt,
    );
    assert.deepEqual(
      manifest.files.map(({ path, attempt }) => [path, attempt]),
      [['data/t000001-a2-p001.zst', 2]],
    );
  });

  it('passes over Events that say nothing about data', () => {
    const facts = toFacts([toRelation(1, 't')], [[0]]);
    const builder = new ManifestBuilder();
    const others: readonly Event[] = [
      { atMs: 1, type: 'chunk.started', taskId: 1, name: 't' },
      { atMs: 1, type: 'chunk.finished', taskId: 9, name: 'restored', rawBytes: 1, storedBytes: 1, rowCount: 1, elapsedMs: 1 },
      { atMs: 1, type: 'warning', message: 'x' },
    ];
    for (const event of [...others, toFinished(1, 1, [segment(0)], [], 'a'.repeat(32))]) builder.add(event);
    assert.equal(builder.build(facts, finishedAt).totals.rowCount, 1);
  });

  it('records partitioned tables and skipped relations without rows', () => {
    const base = toFacts([toRelation(1, 't'), toRelation(2, 'root', 'p'), toRelation(3, 'unlogged')], [[0]]);
    const withSkipped = (skipped: readonly SkippedRelation[]) =>
      withDatabase(base, ({ plan }) => ({ plan: { ...plan, relations: plan.relations.slice(0, 1), skipped } }));
    const facts = withSkipped([
      { oid: 3, schema: 'public', name: 'unlogged', reason: 'unlogged tables have no rows on a standby', isChosen: false },
    ]);
    const events = [toFinished(1, 1, [segment(0)], [], 'a'.repeat(32))];
    const relations = buildManifest(facts, events, finishedAt).databases[0]?.relations;
    assert.deepEqual(
      relations?.map(({ name, kind, readReason, rowCount }) => [name, kind, readReason, rowCount]),
      [
        ['t', 'r', 'smaller than a chunk', 1],
        ['root', 'p', 'a partitioned table holds no rows of its own', 0],
        ['unlogged', 'r', 'unlogged tables have no rows on a standby', 0],
      ],
    );
    throwsWith('internal', () => buildManifest(withSkipped([]), events, finishedAt));
  });

  it('builds nothing out of an unfinished run, nor out of Events that contradict the plan', () => {
    const facts = toFacts([toRelation(1, 't')], [[0], [0]]);
    const first = toFinished(1, 1, [segment(0)], [], 'a'.repeat(32));
    throwsWith('backup_unfinished', () => buildManifest(facts, [first], finishedAt));
    throwsWith('internal', () => buildManifest(facts, [first, toFinished(2, 1, [segment(1)], [], 'a'.repeat(32))], finishedAt));
    const second = toFinished(2, 1, [segment(0)], [], 'a'.repeat(32));
    assert.ok(second.type === 'chunk.finished');
    throwsWith('internal', () => buildManifest(facts, [first, { ...second, files: [] }], finishedAt));
    throwsWith('manifest_damaged', () =>
      buildManifest(facts, [first, { ...second, files: (second.files ?? []).map((file) => ({ ...file, sizeBytes: 9 })) }], finishedAt),
    );
    const withoutRelations = withDatabase(facts, ({ catalog }) => ({ catalog: { ...catalog, relations: [] } }));
    throwsWith('internal', () => buildManifest(withoutRelations, [first, second], finishedAt));
  });
});
