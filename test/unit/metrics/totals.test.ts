import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, EventBody } from '#src/core/events.js';
import { foldTotals, noTotals, type Totals, toProgress } from '#src/metrics/totals.js';

const fold = (...bodies: readonly EventBody[]): Totals =>
  bodies.map((body, index): Event => ({ atMs: 1000 + index, ...body })).reduce(foldTotals, noTotals);

const progress = (rawBytes: number, estimatedRawBytes: number, bytesPerSecond = 100, rssBytes = 5): EventBody => ({
  type: 'progress',
  rawBytes,
  storedBytes: rawBytes / 2,
  rowCount: rawBytes / 10,
  estimatedRawBytes,
  bytesPerSecond,
  rssBytes,
  active: ['public.orders chunk 1/2'],
});

test('the fold tells where a run stands', () => {
  const totals = fold(
    { type: 'plan.ready', taskCount: 3, relationCount: 9, estimatedRawBytes: 1000, binaryRelationCount: 1, splitRelationCount: 1 },
    { type: 'phase.started', phase: 'data' },
    progress(100, 1000, 50, 70),
    progress(400, 1000, 60, 30),
    { type: 'chunk.finished', taskId: 1, name: 'public.orders', rawBytes: 400, storedBytes: 200, rowCount: 40, elapsedMs: 5 },
    { type: 'chunk.failed', taskId: 2, name: 'public.items', code: 'page_damaged', message: 'no' },
    { type: 'warning', message: 'careful' },
  );
  assert.deepEqual(totals, {
    ...noTotals,
    startedAtMs: 1000,
    lastAtMs: 1006,
    phase: 'data',
    taskCount: 3,
    finishedTaskCount: 1,
    relationCount: 9,
    estimatedRawBytes: 1000,
    rawBytes: 400,
    storedBytes: 200,
    rowCount: 40,
    bytesPerSecond: 60,
    peakRssBytes: 70,
    active: ['public.orders chunk 1/2'],
    warningCount: 1,
    failedChunkCount: 1,
  });
});

test('the end of a run has the last word', () => {
  const totals = fold(progress(400, 1000), {
    type: 'backup.finished',
    id: 'x',
    rowCount: 99,
    rawBytes: 990,
    storedBytes: 500,
    elapsedMs: 10,
    bytesPerSecond: 99_000,
    peakRssBytes: 80,
  });
  assert.deepEqual([totals.rawBytes, totals.storedBytes, totals.rowCount, totals.peakRssBytes, totals.active], [990, 500, 99, 80, []]);
  assert.equal(
    fold({ type: 'verify.finished', id: 'x', fileCount: 1, damageCount: 2, rowCount: 1, rawBytes: 1, elapsedMs: 1, bytesPerSecond: 1 })
      .damageCount,
    2,
  );
});

test('an event of a later version changes nothing but the time', () => {
  const later = { type: 'moon.rose', atMs: 7 } as unknown as Event;
  assert.deepEqual(foldTotals(noTotals, later), { ...noTotals, startedAtMs: 7, lastAtMs: 7 });
});

test('the remaining time is told from 5 % on, and only while the estimate holds', () => {
  const at = (rawBytes: number, estimatedRawBytes: number, bytesPerSecond?: number): unknown =>
    toProgress(fold(progress(rawBytes, estimatedRawBytes, bytesPerSecond)));
  assert.deepEqual(at(0, 0), { fraction: null, etaMs: null });
  assert.deepEqual(at(49, 1000), { fraction: 0.049, etaMs: null });
  assert.deepEqual(at(50, 1000), { fraction: 0.05, etaMs: 9500 });
  assert.deepEqual(at(500, 1000, 0), { fraction: 0.5, etaMs: null });
  assert.deepEqual(at(1000, 1000), { fraction: 0.99, etaMs: 0 });
  assert.deepEqual(at(1001, 1000), { fraction: null, etaMs: null });
});
