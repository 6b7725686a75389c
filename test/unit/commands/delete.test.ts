import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { deleteBackup } from '#src/commands/delete.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';
import { createManifest, writeBackup, writeRun } from './support.js';

test('a finished backup and an unfinished run are deleted, others stay', () =>
  withTemporaryDirectory(async (directory) => {
    for (const id of ['a', 'b']) await writeBackup(directory, createManifest(id, '2026-01-03T00:00:00.000Z'));
    await writeRun(directory, 'c', { pid: process.pid, host: hostname(), atMs: 0, startTicks: '1' });
    await writeRun(directory, 'd', { pid: 1, host: 'elsewhere', atMs: 0 });
    await assert.rejects(deleteBackup({ id: 'd', outputDir: directory, isConfirmed: true }), {
      code: 'locked',
      message: /process 1 on elsewhere/,
    });
    assert.deepEqual(await deleteBackup({ id: 'a', outputDir: directory, isConfirmed: true }), {
      id: 'a',
      repository: directory,
      wasFinished: true,
    });
    assert.deepEqual(await deleteBackup({ id: 'c', outputDir: directory, isConfirmed: true }), {
      id: 'c',
      repository: directory,
      wasFinished: false,
    });
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => existsSync(join(directory, id))),
      [false, true, false],
    );
    await assert.rejects(deleteBackup({ id: 'a', outputDir: directory, isConfirmed: true }), { code: 'backup_not_found' });
  }));

test('nothing is deleted without consent', () =>
  withTemporaryDirectory(async (directory) => {
    await writeBackup(directory, createManifest('a', '2026-01-03T00:00:00.000Z'));
    await assert.rejects(deleteBackup({ id: 'a', outputDir: directory, isConfirmed: false }), { code: 'usage' });
    assert.ok(existsSync(join(directory, 'a', 'manifest.json')));
  }));

test('a run that goes on is not deleted under its process', () =>
  withTemporaryDirectory(async (directory) => {
    await writeRun(directory, 'a', { pid: process.pid, host: hostname(), atMs: Date.now() });
    await assert.rejects(deleteBackup({ id: 'a', outputDir: directory, isConfirmed: true }), { code: 'locked' });
    assert.ok(existsSync(join(directory, 'a', 'journal.ndjson')));
  }));
