import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatList } from '#src/cli/render-list.js';
import { formatBackupReport, formatDeleteReport, formatRestoreReport, formatVerifyReport } from '#src/cli/render-report.js';
import { toStyle } from '#src/cli/style.js';
import type { BackupSummary } from '#src/commands/options.js';
import { backupReport, damage, gibi, recordStream, restoreReport, verifyReport } from './support.js';

const style = toStyle(recordStream(), {});

test('a backup’s summary', () => {
  assert.equal(
    formatBackupReport({ ...backupReport, verified: verifyReport, warnings: ['careful'] }, style),
    `
backup shop-20260102t030405z-k3f9 done in 12.3 s

  raw       1.50 GB     128 MB/s
  estimate  1.80 GB     of raw, 20 % too much
  stored    512 MB      3.0 : 1
  rows      12,345,678  312 relations, 45 files
  memory    98.0 MB     at its peak
  verified  sound       45 files in 2.0 s
  warnings  1           see above
  manifest  /srv/backups/shop-20260102t030405z-k3f9/manifest.json
`,
  );
});

test('an empty database’s backup has no ratio', () => {
  assert.match(formatBackupReport({ ...backupReport, rawBytes: 0, storedBytes: 0, rowCount: 0 }, style), /stored {4}0 B {6}nothing stored/);
});

test('a restore’s summary', () => {
  assert.equal(
    formatRestoreReport({ ...restoreReport, checkedRelationCount: 312 }, style),
    `
backup shop-20260102t030405z-k3f9 restored into shop_copy in 30.0 s

  raw      1.50 GB        51.0 MB/s
  rows     12,345,678     312 relations
  memory   98.0 MB        at its peak
  checked  312 relations  equal to the backup
`,
  );
  assert.match(formatRestoreReport({ ...restoreReport, partOf: 'backup' }, style), /only part +what was chosen of the backup/);
  assert.match(formatRestoreReport({ ...restoreReport, partOf: 'database' }, style), /only part +all of a backup of a part of a database/);
});

test('a verify’s summary names damaged files and tables', () => {
  assert.match(formatVerifyReport(verifyReport, style), /backup \S+ is sound\n\n {2}raw {3}1\.50 GB/);
  const damaged = formatVerifyReport(
    { ...verifyReport, damage: [damage, { ...damage, frame: 4 }, { ...damage, path: 'data/x.zst', relation: '' }] },
    style,
  );
  assert.match(damaged, /is damaged: 3 findings/);
  assert.match(damaged, / {2}files {3}data\/t000001-a1-p001\.zst, data\/x\.zst\n {2}tables {2}public\.orders\n$/);
});

test('a delete’s line', () => {
  assert.equal(formatDeleteReport({ id: 'x', repository: '/b', wasFinished: false }), 'unfinished run x deleted from /b\n');
});

const summary: BackupSummary = {
  id: 'shop-1',
  state: 'finished',
  kind: 'single',
  database: 'shop',
  databases: ['shop'],
  startedAt: '2026-01-02T03:04:05.678Z',
  finishedAt: '2026-01-02T03:05:05.678Z',
  rowCount: 5,
  rawBytes: 1.5 * gibi,
  storedBytes: gibi / 2,
  relationCount: 312,
  consistency: 'exact',
  isPartial: false,
  problem: null,
  isRunning: false,
  resumable: null,
};

test('a list of backups', () => {
  const damaged: BackupSummary = {
    ...summary,
    id: 'old',
    state: 'damaged',
    database: null,
    startedAt: null,
    finishedAt: null,
    rawBytes: null,
    storedBytes: null,
    relationCount: null,
    consistency: null,
    problem: 'no',
  };
  assert.equal(
    formatList(
      { repository: '/b', backups: [summary, { ...summary, id: 'long-name-2', database: 'a\nb', isPartial: true }, damaged] },
      false,
    ),
    `ID           DATABASE  FINISHED                  RAW  STORED  RELATIONS  CONSISTENCY
shop-1       shop      2026-01-02T03:05:05Z  1.50 GB  512 MB        312  exact
long-name-2  a\\x0ab    2026-01-02T03:05:05Z  1.50 GB  512 MB        312  exact, a part
old          -         -                           -       -          -  damaged
`,
  );
});

test('a list of unfinished runs tells which go on', () => {
  const run: BackupSummary = { ...summary, state: 'unfinished', finishedAt: null, consistency: null };
  const text = formatList({ repository: '/b', backups: [run, { ...run, id: 'shop-2', isRunning: true }] }, true);
  assert.match(text, /^ID +DATABASE +STARTED .* STATE\nshop-1 .* unfinished\nshop-2 .* running\n$/);
});

test('an empty list says so', () => {
  assert.equal(formatList({ repository: '/b', backups: [] }, false), 'no backups in /b\n');
  assert.equal(formatList({ repository: '/b', backups: [] }, true), 'no unfinished runs in /b\n');
});
