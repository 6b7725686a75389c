import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DbbackupError } from '#src/core/errors.js';
import { isLocalStorage, type Storage } from '#src/storage/storage.js';

export const rejectsWith =
  (code: string) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof DbbackupError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };

const hostileNames = [
  '',
  '.',
  '..',
  '/',
  '/etc/passwd',
  '../x',
  'a/../b',
  'a/./b',
  'a//b',
  'a/',
  '/a',
  'a b',
  'a\nb',
  'a\0b',
  'ä',
  'a\\b',
  'a/..',
  './a',
  '*',
];

/** What every Storage promises. `withStorage` gives an empty one. */
export const describeStorage = (title: string, withStorage: (fn: (storage: Storage) => Promise<void>) => Promise<void>): void => {
  describe(`${title} as a Storage`, () => {
    const onStorage = (name: string, fn: (storage: Storage) => Promise<void>): void => void it(name, () => withStorage(fn));

    onStorage('gives back what was published, text as UTF-8', async (storage) => {
      const bytes = randomBytes(300_000);
      await storage.publish('b-1/data/file.zst', bytes);
      await storage.publish('note', 'naïve 😀\n');
      await storage.publish('b-1/empty', '');
      assert.deepEqual(await storage.read('b-1/data/file.zst', 300_000), bytes);
      assert.equal((await storage.read('note', 100))?.toString('utf8'), 'naïve 😀\n');
      assert.equal((await storage.read('b-1/empty', 0))?.length, 0);
    });

    onStorage('never overwrites, and keeps what was there', async (storage) => {
      await storage.publish('a/b', 'first');
      await assert.rejects(storage.publish('a/b', 'second'), rejectsWith('io_error'));
      assert.equal((await storage.read('a/b', 100))?.toString(), 'first');
      assert.deepEqual(
        (await storage.list('')).map((object) => object.name),
        ['a/b'],
      );
    });

    onStorage('lets exactly one of many publishers of a name win', async (storage) => {
      const contents = Array.from({ length: 8 }, (_, index) => String(index).repeat(1000));
      const results = await Promise.allSettled(contents.map((content) => storage.publish('one', content)));
      const winners = contents.filter((_, index) => results[index]?.status === 'fulfilled');
      assert.equal(winners.length, 1);
      assert.equal((await storage.read('one', 1000))?.toString(), winners[0]);
    });

    onStorage('knows nothing of what is not there', async (storage) => {
      await storage.publish('a/b', 'x');
      for (const name of ['c', 'a/c', 'a', 'a/b/c', 'd/e/f']) {
        assert.equal(await storage.stat(name), null, name);
        if (name !== 'a') assert.equal(await storage.read(name, 10), null, name);
        if (name !== 'a') await storage.remove(name);
      }
      assert.deepEqual(await storage.list('c'), []);
      assert.deepEqual(await storage.listFolders('c'), []);
      await storage.removeTree('c/d');
      assert.equal((await storage.list('')).length, 1);
    });

    onStorage('refuses to read an object above the limit', async (storage) => {
      await storage.publish('large', Buffer.alloc(1001));
      await assert.rejects(storage.read('large', 1000), rejectsWith('io_error'));
      assert.equal((await storage.read('large', 1001))?.length, 1001);
    });

    onStorage('tells size and time', async (storage) => {
      const before = Date.now() - 5000;
      await storage.publish('x', 'four');
      const stat = await storage.stat('x');
      assert.equal(stat?.name, 'x');
      assert.equal(stat.sizeBytes, 4);
      assert.ok(stat.modifiedAtMs > before && stat.modifiedAtMs < Date.now() + 5000);
    });

    onStorage('lists objects and folders in order', async (storage) => {
      for (const name of ['b/2', 'b/1', 'a', 'b/c/3', 'b.d/1', 'z']) await storage.publish(name, name);
      assert.deepEqual(
        (await storage.list('')).map(({ name, sizeBytes }) => [name, sizeBytes]),
        [
          ['a', 1],
          ['b.d/1', 5],
          ['b/1', 3],
          ['b/2', 3],
          ['b/c/3', 5],
          ['z', 1],
        ],
      );
      assert.deepEqual(
        (await storage.list('b')).map((object) => object.name),
        ['b/1', 'b/2', 'b/c/3'],
      );
      assert.deepEqual(await storage.listFolders(''), ['b', 'b.d']);
      assert.deepEqual(await storage.listFolders('b'), ['c']);
    });

    onStorage('is empty until something is published', async (storage) => {
      assert.equal(await storage.isEmpty(), true);
      await storage.publish('a/b', '');
      assert.equal(await storage.isEmpty(), false);
    });

    onStorage('removes objects and trees, and nothing beside them', async (storage) => {
      for (const name of ['a/1', 'a/b/2', 'ab/3', 'c']) await storage.publish(name, name);
      await storage.remove('a/1');
      assert.equal(await storage.stat('a/1'), null);
      await storage.removeTree('a');
      assert.deepEqual(
        (await storage.list('')).map((object) => object.name),
        ['ab/3', 'c'],
      );
      await storage.publish('a/1', 'again');
      assert.equal((await storage.read('a/1', 10))?.toString(), 'again');
    });

    onStorage('refuses every name outside the alphabet', async (storage) => {
      for (const name of hostileNames) {
        const calls = [
          () => storage.publish(name, ''),
          () => storage.read(name, 1),
          () => storage.stat(name),
          () => storage.remove(name),
          () => storage.removeTree(name),
        ];
        for (const call of calls) await assert.rejects(call(), rejectsWith('path_unsafe'), JSON.stringify(name));
        if (name !== '') await assert.rejects(storage.list(name), rejectsWith('path_unsafe'), JSON.stringify(name));
      }
      assert.equal(await storage.isEmpty(), true);
    });

    onStorage('keeps any bytes under any good name', async (storage) => {
      const component = fc
        .stringMatching(/^[A-Za-z0-9._-]{1,20}$/)
        .filter((text) => text !== '.' && text !== '..' && !text.endsWith('.tmp'));
      const name = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
      let run = 0;
      await fc.assert(
        fc.asyncProperty(name, fc.uint8Array({ maxLength: 200 }), async (path, bytes) => {
          const unique = `r${++run}/${path}`;
          await storage.publish(unique, bytes);
          assert.deepEqual(await storage.read(unique, 200), Buffer.from(bytes));
          assert.deepEqual(
            (await storage.list(`r${run}`)).map((object) => object.name),
            [unique],
          );
        }),
        { numRuns: 25 },
      );
    });

    onStorage('as a LocalStorage gives paths, folders and growing objects', async (storage) => {
      if (!isLocalStorage(storage)) return;
      const folder = await storage.createFolder('b/data');
      assert.equal(await storage.createFolder('b/data'), folder);
      assert.equal(await storage.localPath('b/data/x'), `${folder}/x`);
      const appender = await storage.openAppender('b/journal');
      await assert.rejects(storage.openAppender('b/journal'), rejectsWith('io_error'));
      await appender.append(Buffer.from('one\n'));
      assert.equal((await storage.read('b/journal', 100))?.toString(), 'one\n');
      await appender.append(Buffer.from('two\n'));
      await appender.close();
      assert.equal((await storage.read('b/journal', 100))?.toString(), 'one\ntwo\n');
      for (const name of hostileNames) {
        await assert.rejects(storage.localPath(name), rejectsWith('path_unsafe'));
        await assert.rejects(storage.createFolder(name), rejectsWith('path_unsafe'));
        await assert.rejects(storage.openAppender(name), rejectsWith('path_unsafe'));
      }
    });
  });
};
