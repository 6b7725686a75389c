import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openLocalStorage } from '#src/storage/local-storage.js';
import { toStorageError } from '#src/storage/storage-error.js';
import { rejectsWith } from '../../contract/storage-suite.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

describe('a local storage', () => {
  it('creates private directories and files, and an executable only where asked', async () => {
    await withTemporaryDirectory(async (base) => {
      const root = join(base, 'repository');
      const storage = openLocalStorage(root);
      await storage.publish('b/data/file', 'x');
      await storage.publish('b/run.sh', 'x', { isExecutable: true });
      await (await storage.openAppender('b/journal')).close();
      for (const path of [root, join(root, 'b'), join(root, 'b/data')]) assert.equal(await modeOf(path), '700', path);
      for (const path of ['b/data/file', 'b/journal']) assert.equal(await modeOf(join(root, path)), '600', path);
      assert.equal(await modeOf(join(root, 'b/run.sh')), '700');
    });
  });

  it('leaves no temporary file behind, neither after success nor after failure', async () => {
    await withTemporaryDirectory(async (base) => {
      const storage = openLocalStorage(base);
      await storage.publish('a', '1');
      await assert.rejects(storage.publish('a', '2'));
      assert.deepEqual(await readdir(base), ['a']);
    });
  });

  it('does not see what is not published yet', async () => {
    await withTemporaryDirectory(async (base) => {
      await mkdir(join(base, 'b'));
      await writeFile(join(base, 'b', 'x.zst.tmp'), 'half');
      await writeFile(join(base, 'b', 'my notes'), 'a name outside the alphabet');
      const storage = openLocalStorage(base);
      assert.deepEqual(await storage.list(''), []);
      await storage.removeTree('b');
      assert.deepEqual(await readdir(base), []);
    });
  });

  it('takes a fresh file system, and what a dead run left of a first publish, for empty', async () => {
    await withTemporaryDirectory(async (base) => {
      await mkdir(join(base, 'lost+found'));
      await writeFile(join(base, 'dbbackup-repository.json.0123456789ab.tmp'), '');
      assert.equal(await openLocalStorage(base).isEmpty(), true);
      await writeFile(join(base, '.hidden'), '');
      assert.equal(await openLocalStorage(base).isEmpty(), false);
      assert.equal(await openLocalStorage(join(base, '.hidden')).isEmpty(), false);
    });
  });

  it('follows links to its root, and none below it', async () => {
    await withTemporaryDirectory(async (base) => {
      const outside = join(base, 'outside');
      await mkdir(join(outside, 'folder'), { recursive: true });
      await writeFile(join(outside, 'secret'), 'secret');
      await mkdir(join(base, 'real'));
      await symlink('real', join(base, 'link'));
      const storage = openLocalStorage(join(base, 'link'));
      await storage.publish('a/ok', 'ok');
      await symlink(outside, join(base, 'real', 'out'));
      await symlink(join(outside, 'secret'), join(base, 'real', 'a', 'file'));
      await symlink('nowhere', join(base, 'real', 'a', 'dangling'));

      for (const name of ['out/secret', 'a/file', 'a/dangling', 'out/new', 'out']) {
        const calls = [
          () => storage.read(name, 100),
          () => storage.stat(name),
          () => storage.publish(name, 'x'),
          () => storage.localPath(name),
          () => storage.openAppender(name),
          () => storage.createFolder(name),
          () => storage.removeTree(name),
        ];
        for (const call of calls) await assert.rejects(call(), rejectsWith('path_unsafe'), name);
      }
      await assert.rejects(storage.list('out'), rejectsWith('path_unsafe'));
      await assert.rejects(storage.remove('out/secret'), rejectsWith('path_unsafe'));
      assert.deepEqual(
        (await storage.list('')).map((object) => object.name),
        ['a/ok'],
      );
      assert.deepEqual(await storage.listFolders(''), ['a']);

      await storage.remove('a/file');
      await storage.removeTree('a');
      assert.equal(await readFile(join(outside, 'secret'), 'utf8'), 'secret');
      assert.deepEqual(await readdir(join(base, 'real')), ['out']);
    });
  });

  it('deletes links in a tree without following them', async () => {
    await withTemporaryDirectory(async (base) => {
      await mkdir(join(base, 'precious'));
      await writeFile(join(base, 'precious', 'file'), 'precious');
      const storage = openLocalStorage(join(base, 'root'));
      await storage.publish('b/data/x', 'x');
      await symlink(join(base, 'precious'), join(base, 'root', 'b', 'data', 'link'));
      await symlink(join(base, 'precious', 'file'), join(base, 'root', 'b', 'link'));
      await storage.removeTree('b');
      assert.equal(await readFile(join(base, 'precious', 'file'), 'utf8'), 'precious');
      assert.deepEqual(await readdir(join(base, 'root')), []);
    });
  });

  it('neither waits for a pipe nor reads a directory', async () => {
    await withTemporaryDirectory(async (base) => {
      execFileSync('mkfifo', [join(base, 'pipe')]);
      await mkdir(join(base, 'folder'));
      const storage = openLocalStorage(base);
      for (const name of ['pipe', 'folder']) {
        await assert.rejects(storage.read(name, 100), rejectsWith('io_error'));
        assert.equal(await storage.stat(name), null);
      }
    });
  });

  it('says not_writable where the owner may not write', {
    skip: process.getuid?.() === 0 ? 'root may write everywhere' : false,
  }, async () => {
    await withTemporaryDirectory(async (base) => {
      await chmod(base, 0o500);
      const storage = openLocalStorage(base);
      await assert.rejects(storage.publish('a', ''), rejectsWith('not_writable'));
      await assert.rejects(storage.createFolder('a'), rejectsWith('not_writable'));
      await chmod(base, 0o700);
    });
  });

  it('gives each error of the system its code', () => {
    const cases = [
      ['ENOSPC', 'write', 'disk_full'],
      ['EDQUOT', 'write', 'disk_full'],
      ['EACCES', 'write', 'not_writable'],
      ['EROFS', 'write', 'not_writable'],
      ['EPERM', 'write', 'not_writable'],
      ['EACCES', 'read', 'io_error'],
      ['ELOOP', 'read', 'path_unsafe'],
      ['EIO', 'read', 'io_error'],
    ] as const;
    for (const [name, action, code] of cases) {
      const error = toStorageError(Object.assign(new Error(name), { code: name, errno: -28 }), action, '/r/x');
      assert.equal(error.code, code, name);
      assert.equal(error.message, `cannot ${action} /r/x: ${name}`);
      assert.equal(error.details.errno, 28);
      assert.equal(error.details.path, '/r/x');
    }
  });
});
