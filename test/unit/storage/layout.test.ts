import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DbbackupError } from '#src/core/errors.js';
import {
  checkBackupId,
  checkPath,
  dataExtension,
  dataStem,
  isBackupId,
  isSafePath,
  nameInBackup,
  newBackupId,
  readAttempt,
  schemaPath,
} from '#src/storage/layout.js';

const now = new Date('2026-01-02T03:04:05.678Z');

describe('layout', () => {
  it('makes IDs that tell the database and the time', () => {
    assert.equal(
      newBackupId('shop', now, () => 0),
      'shop-20260102t030405z-aaaa',
    );
    assert.equal(
      newBackupId('Mein Laden/Äö', now, () => 35),
      'mein-laden-20260102t030405z-9999',
    );
    assert.equal(
      newBackupId('../../etc', now, () => 1),
      'etc-20260102t030405z-bbbb',
    );
    assert.equal(
      newBackupId('日本', now, () => 1),
      'database-20260102t030405z-bbbb',
    );
  });

  it('makes valid IDs for any database name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 90 }), fc.nat(), (name, seed) => {
        assert.ok(isBackupId(newBackupId(name, now, (below) => seed % below)));
      }),
    );
  });

  it('takes no other path than one that stays inside', () => {
    for (const path of ['a', 'data/t000001-a1-p001.zst', 'a/b/c', '.hidden', 'a..b', '...', 'a/.../b', '-', 'a/.b'])
      assert.ok(isSafePath(path), path);
    for (const path of [
      '',
      '.',
      '..',
      '/',
      '/a',
      'a/',
      'a//b',
      './a',
      'a/.',
      'a/./b',
      '../a',
      'a/..',
      'a/../b',
      'a b',
      'a\\b',
      'ä',
      'a\n',
      '\na',
      'a\0',
      '~',
      'C:x',
    ]) {
      assert.ok(!isSafePath(path), JSON.stringify(path));
      assert.throws(
        () => checkPath(path),
        (error) => error instanceof DbbackupError && error.code === 'path_unsafe',
      );
    }
  });

  it('agrees with the plain definition of a safe path', () => {
    const alphabet = fc.constantFrom('a', '.', '/', '-', ' ', '\n', 'Z', '_');
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 8 }), (path) => {
        const isSafe = path
          .split('/')
          .every((part) => /^[A-Za-z0-9._-]+$/.test(part) && !part.includes('\n') && part !== '.' && part !== '..');
        assert.equal(isSafePath(path), isSafe, JSON.stringify(path));
      }),
      { numRuns: 2000 },
    );
  });

  it('finds no backup under what is no ID', () => {
    for (const id of ['', '.', '..', '../x', 'a/b', 'A', '-a', '.a', `${'a'.repeat(81)}`, 'a b', 'a\n']) {
      assert.throws(
        () => checkBackupId(id),
        (error) => error instanceof DbbackupError && error.code === 'backup_not_found',
        JSON.stringify(id),
      );
      assert.throws(() => nameInBackup(id, 'x'), DbbackupError);
    }
    assert.equal(nameInBackup('b-1', 'data/x'), 'b-1/data/x');
  });

  it('names data files and archives', () => {
    assert.equal(dataStem(1, 1), 't000001-a1');
    assert.equal(dataStem(1234567, 12), 't1234567-a12');
    assert.equal(readAttempt('data/t000001-a12-p003.zst'), 12);
    assert.equal(readAttempt('something'), 1);
    assert.deepEqual((['zstd', 'lz4', 'gzip', 'none'] as const).map(dataExtension), ['.zst', '.lz4', '.gz', '.copy']);
    assert.equal(schemaPath(1, 1), 'schema/0001.dump.zst');
  });
});
