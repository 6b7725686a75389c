import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openLocalStorage } from '#src/storage/local-storage.js';
import { openOrCreateRepository, openRepository } from '#src/storage/repository.js';
import { rejectsWith } from '../../contract/storage-suite.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';

const marker = 'dbbackup-repository.json';

describe('repository', () => {
  it('is created in a new or empty directory and found again', async () => {
    await withTemporaryDirectory(async (base) => {
      for (const root of [base, join(base, 'new', 'deeper')]) {
        const storage = openLocalStorage(root);
        await assert.rejects(openRepository(storage), rejectsWith('repository_not_found'));
        await openOrCreateRepository(storage);
        await openOrCreateRepository(storage);
        assert.deepEqual(await (await openRepository(storage)).list(), []);
        assert.deepEqual(JSON.parse(await readFile(join(root, marker), 'utf8')), { format: 'dbbackup-repository', formatVersion: 1 });
        await mkdir(join(base, 'new'), { recursive: true });
      }
    });
  });

  it('is created once by many runs at the same time', async () => {
    await withTemporaryDirectory(async (base) => {
      const storage = openLocalStorage(join(base, 'r'));
      await Promise.all(Array.from({ length: 6 }, () => openOrCreateRepository(storage)));
      assert.deepEqual(await readdir(join(base, 'r')), [marker]);
    });
  });

  it('is not seen in anything else', async () => {
    const contents = [
      '',
      'text',
      '{}',
      '{"format":"other","formatVersion":1}',
      'null',
      '[]',
      '{"format":"dbbackup-repository","formatVersion":"1"}',
    ];
    for (const content of contents) {
      await withTemporaryDirectory(async (base) => {
        await writeFile(join(base, marker), content);
        await assert.rejects(openRepository(openLocalStorage(base)), rejectsWith('not_a_repository'), content);
        await assert.rejects(openOrCreateRepository(openLocalStorage(base)), rejectsWith('not_a_repository'), content);
      });
    }
    await withTemporaryDirectory(async (base) => {
      await writeFile(join(base, 'file'), '');
      for (const storage of [openLocalStorage(base), openLocalStorage(join(base, 'file'))]) {
        await assert.rejects(openRepository(storage), rejectsWith('not_a_repository'));
        await assert.rejects(openOrCreateRepository(storage), rejectsWith('not_a_repository'));
      }
    });
    await withTemporaryDirectory(async (base) => {
      await writeFile(join(base, marker), '{"format":"dbbackup-repository","formatVersion":2}');
      await assert.rejects(openRepository(openLocalStorage(base)), rejectsWith('format_unsupported'));
    });
  });

  const withBackups = (fn: (root: string) => Promise<void>): Promise<void> =>
    withTemporaryDirectory(async (base) => {
      const root = join(base, 'r');
      const storage = openLocalStorage(root);
      await openOrCreateRepository(storage);
      for (const name of [
        'done/manifest.json',
        'done/journal.ndjson',
        'done/data/x',
        'running/journal.ndjson',
        'running/data/x',
        'neither/data/x',
        'UPPER/manifest.json',
      ])
        await storage.publish(name, name);
      await fn(root);
    });

  it('lists finished backups and unfinished runs, and nothing else', async () => {
    await withBackups(async (root) => {
      await symlink('done', join(root, 'linked'));
      const repository = await openRepository(openLocalStorage(root));
      assert.deepEqual(
        (await repository.list()).map(({ id, isFinished }) => [id, isFinished]),
        [
          ['done', true],
          ['running', false],
        ],
      );
      assert.equal((await repository.findFinished('done')).isFinished, true);
      await assert.rejects(repository.findFinished('running'), rejectsWith('backup_unfinished'));
      for (const id of ['neither', 'nowhere', 'UPPER', '..', ''])
        await assert.rejects(repository.find(id), rejectsWith('backup_not_found'));
      await assert.rejects(repository.find('linked'), rejectsWith('path_unsafe'));
    });
  });

  it('lists the others beside a backup whose manifest is a link, and can delete that one', async () => {
    await withBackups(async (root) => {
      await mkdir(join(root, 'odd'));
      await writeFile(join(root, 'odd', 'journal.ndjson'), '');
      await symlink('../done/manifest.json', join(root, 'odd', 'manifest.json'));
      const repository = await openRepository(openLocalStorage(root));
      assert.deepEqual(
        (await repository.list()).map(({ id }) => id),
        ['done', 'odd', 'running'],
      );
      await assert.rejects(repository.find('odd'), rejectsWith('path_unsafe'));
      await repository.storage.remove('odd/manifest.json');
      await repository.delete('odd');
      assert.equal((await repository.findFinished('done')).id, 'done');
    });
  });

  it('deletes a backup, finished or not, and nothing beside it', async () => {
    await withBackups(async (root) => {
      await mkdir(join(root, '..', 'precious'));
      await writeFile(join(root, '..', 'precious', 'x'), 'x');
      await symlink('../../../precious', join(root, 'done', 'data', 'link'));
      const repository = await openRepository(openLocalStorage(root));
      assert.equal((await repository.delete('done')).isFinished, true);
      assert.equal((await repository.delete('running')).isFinished, false);
      for (const id of ['done', 'neither', '../precious', '..', '.', ''])
        await assert.rejects(repository.delete(id), rejectsWith('backup_not_found'), id);
      assert.deepEqual((await readdir(root)).sort(), ['UPPER', marker, 'neither'].sort());
      assert.deepEqual(await readdir(join(root, '..', 'precious')), ['x']);
    });
  });

  it('leaves an unfinished run that can be deleted again where a delete was cut off', async () => {
    await withBackups(async (root) => {
      const storage = openLocalStorage(root);
      const removed: string[] = [];
      const failing = new Proxy(storage, {
        get: (target, key) => {
          if (key === 'removeTree') return () => Promise.reject(new Error('cut off'));
          if (key === 'remove') {
            return (name: string) => {
              removed.push(name);
              return target.remove(name);
            };
          }
          const value: unknown = Reflect.get(target, key, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      await assert.rejects((await openRepository(failing)).delete('done'), /cut off/);
      assert.deepEqual(removed, ['done/manifest.json']);
      const repository = await openRepository(storage);
      assert.equal((await repository.find('done')).isFinished, false);
      await repository.delete('done');
      await assert.rejects(repository.find('done'), rejectsWith('backup_not_found'));
    });
  });
});
