import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { list } from '#src/commands/list.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';
import { createManifest, writeBackup, writeRun } from './support.js';

test('finished backups come by time of start, whatever their IDs', () =>
  withTemporaryDirectory(async (directory) => {
    const outputDir = join(directory, 'backups');
    await writeBackup(outputDir, createManifest('b', '2026-01-03T00:00:00.000Z'));
    await writeBackup(outputDir, createManifest('a', '2026-01-04T00:00:00.000Z'));
    await writeBackup(outputDir, createManifest('c', '2026-01-02T00:00:00.000Z'));
    await writeRun(outputDir, 'd', { pid: 1, host: 'elsewhere', atMs: 0 });
    const report = await list({ outputDir });
    assert.equal(report.repository, outputDir);
    assert.deepEqual(
      report.backups.map(({ id }) => id),
      ['c', 'b', 'a'],
    );
    assert.deepEqual(report.backups[0], {
      ...{ id: 'c', state: 'finished', kind: 'single', database: 'shop', databases: ['shop'] },
      ...{ startedAt: '2026-01-02T00:00:00.000Z', finishedAt: '2026-01-02T00:01:00.000Z' },
      ...{
        rowCount: 10,
        rawBytes: 100,
        storedBytes: 5,
        relationCount: 1,
        consistency: 'exact',
        isPartial: false,
        problem: null,
        isRunning: false,
        resumable: null,
      },
    });
  }));

test('a damaged manifest is listed as such, last, and hides no other', () =>
  withTemporaryDirectory(async (directory) => {
    await writeBackup(directory, createManifest('good', '2026-01-03T00:00:00.000Z'));
    await mkdir(join(directory, 'bad'));
    await writeFile(join(directory, 'bad', 'manifest.json'), '{}');
    const { backups } = await list({ outputDir: directory });
    assert.deepEqual(
      backups.map(({ id, state }) => [id, state]),
      [
        ['good', 'finished'],
        ['bad', 'damaged'],
      ],
    );
    assert.match(backups[1]?.problem ?? '', /manifest/);
  }));

test('unfinished runs tell what they have done, and whether they go on', () =>
  withTemporaryDirectory(async (directory) => {
    const dead = spawn('true');
    await once(dead, 'close');
    const atMs = Date.now();
    await writeRun(directory, 'alive', { pid: process.pid, host: hostname(), atMs });
    await writeRun(directory, 'dead', { pid: dead.pid ?? 0, host: hostname(), atMs });
    // The same number was another process's.
    await writeRun(directory, 'reused', { pid: process.pid, host: hostname(), atMs, startTicks: '1' });
    await writeRun(directory, 'remote', { pid: process.pid, host: 'elsewhere', atMs });
    await writeBackup(directory, createManifest('done', '2026-01-03T00:00:00.000Z'));
    const { backups } = await list({ outputDir: directory, isUnfinished: true });
    assert.deepEqual(backups.map(({ id, isRunning }) => [id, isRunning]).sort(), [
      ['alive', true],
      ['dead', false],
      ['remote', false],
      ['reused', false],
    ]);
    assert.deepEqual(
      backups.map(({ state, database, rowCount, rawBytes, relationCount, finishedAt }) => ({
        state,
        database,
        rowCount,
        rawBytes,
        relationCount,
        finishedAt,
      }))[0],
      { state: 'unfinished', database: 'shop', rowCount: 10, rawBytes: 100, relationCount: 7, finishedAt: null },
    );
  }));

test('a run whose journal is damaged is listed as such', () =>
  withTemporaryDirectory(async (directory) => {
    await writeRun(directory, 'run', { pid: process.pid, host: 'elsewhere', atMs: Date.now() });
    await writeFile(join(directory, 'run', 'journal.ndjson'), 'no event\n');
    const { backups } = await list({ outputDir: directory, isUnfinished: true });
    assert.deepEqual([backups[0]?.state, backups[0]?.isRunning], ['damaged', false]);
  }));

test('what is no repository is said so', () =>
  withTemporaryDirectory(async (directory) => {
    await assert.rejects(list({ outputDir: join(directory, 'none') }), { code: 'repository_not_found' });
    await writeFile(join(directory, 'letter.txt'), 'hello');
    await assert.rejects(list({ outputDir: directory }), { code: 'not_a_repository' });
  }));
