import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatShow } from '#src/cli/render-show.js';
import { toStyle } from '#src/cli/style.js';
import { show } from '#src/commands/show.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';
import { recordStream } from '../cli/support.js';
import { createManifest, createRelation, writeBackup, writeRun } from './support.js';

const style = toStyle(recordStream(), {});

test('the manifest as it was written, and where it stands', () =>
  withTemporaryDirectory(async (directory) => {
    const manifest = createManifest('shop-1', '2026-01-03T00:00:00.000Z');
    await writeBackup(directory, manifest);
    assert.deepEqual(await show({ id: 'shop-1', outputDir: directory }), { manifest, directory: join(directory, 'shop-1'), splitKeys: [] });
  }));

test('a manifest that is not what was written, an unfinished run, an unknown ID', () =>
  withTemporaryDirectory(async (directory) => {
    await writeBackup(directory, createManifest('shop-1', '2026-01-03T00:00:00.000Z'));
    await writeRun(directory, 'shop-2', { pid: 1, host: 'elsewhere', atMs: 0 });
    await appendFile(join(directory, 'shop-1', 'manifest.json'), ' ');
    await assert.rejects(show({ id: 'shop-1', outputDir: directory }), { code: 'manifest_damaged' });
    await assert.rejects(show({ id: 'shop-2', outputDir: directory }), { code: 'backup_unfinished' });
    await assert.rejects(show({ id: 'shop-3', outputDir: directory }), { code: 'backup_not_found' });
    await assert.rejects(show({ id: '../shop-1', outputDir: directory }), { code: 'backup_not_found' });
  }));

test('for people: the facts, and the largest relations', () => {
  const relations = [createRelation(1, 'small', 10), createRelation(2, 'big\u001b[2J', 3 * 1024 ** 2)];
  assert.equal(
    formatShow({ manifest: createManifest('shop-1', '2026-01-03T00:00:00.000Z', relations), directory: '/b/shop-1', splitKeys: [] }, style),
    `
shop-1

  database     shop                      UTF8, owner postgres
  snapshot     00000003-0000001B-1       at 0/1A2B3C, taken 2026-01-03T00:00:00.000Z
  server       15.18                     system 7423
  started      2026-01-03T00:00:00.000Z
  finished     2026-01-03T00:01:00.000Z  1 min 00 s
  consistency  exact
  raw          3.00 MB
  stored       10 B                      zstd:1, xxh3-128
  rows         20                        2 relations, 1 file
  options      jobs 4, chunk size 1.00 GB, format auto
  written by   dbbackup 0.1.0
  directory    /b/shop-1

RELATION           ROWS      RAW  STORED  PARTS  FORMAT  READ
public.big\\x1b[2J    10  3.00 MB     5 B      1  binary  whole: smaller than a chunk
public.small         10     10 B     5 B      1  binary  whole: smaller than a chunk
`,
  );
});

test('a database with many relations, and one with none', () => {
  const many = Array.from({ length: 25 }, (_, index) => createRelation(index + 1, `t${index}`, index));
  const text = formatShow({ manifest: createManifest('x', '2026-01-03T00:00:00.000Z', many), directory: '/b', splitKeys: [] }, style);
  assert.match(text, /\nand 5 smaller relations; --json lists all\n$/);
  assert.match(
    formatShow({ manifest: createManifest('x', '2026-01-03T00:00:00.000Z', []), directory: '/b', splitKeys: [] }, style),
    /\nno relations with rows\n$/,
  );
});

test('large objects are told with their number and size', () => {
  const manifest = createManifest('x', '2026-01-03T00:00:00.000Z', []);
  const [database] = manifest.databases;
  assert.ok(database !== undefined);
  const stream = (rowCount: number, rawBytes: number) => ({
    rowCount,
    rawBytes,
    storedBytes: rawBytes / 2,
    digest: '0'.repeat(32),
    segments: [],
  });
  const largeObjects = {
    objectCount: 1234,
    pageSizeBytes: 2048,
    readMethod: 'pages',
    content: stream(5000, 8 * 1024 ** 2),
    metadata: stream(1234, 2 * 1024 ** 2),
  } as const;
  const text = formatShow({ manifest: { ...manifest, databases: [{ ...database, largeObjects }] }, directory: '/b', splitKeys: [] }, style);
  assert.match(text, /large objects +1,234 +10\.0 MB, 5\.00 MB stored in 0 parts, read by pages/);
});
