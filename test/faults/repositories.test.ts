import assert from 'node:assert/strict';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { list, verify } from '#src/index.js';
import { runChildOrThrow } from '../support/child.js';
import { runCli } from '../support/cli.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { expectFailedRun, expectNothingPublished, expectOneUnfinishedRun, listFiles } from './support/leftovers.js';
import { smallSql, withScene } from './support/scene.js';
import { noMountReason, usedBytes, withSmallDisk } from './support/small-disk.js';
import { giveAway, makeReadOnlyDirectory, unprivilegedUser } from './support/unprivileged.js';

const mebibyte = 1024 ** 2;

describe('a repository that cannot be used', () => {
  it('is told for a directory that may not be written', async () => {
    await withScene(smallSql, async ({ cluster, database, base }) => {
      const closed = join(base, 'closed');
      await makeReadOnlyDirectory(closed);
      const user = { ...unprivilegedUser(), env: { HOME: base } };
      await giveAway(base);
      for (const repository of [closed, join(closed, 'below', 'repository')]) {
        const outcome = await runCli(['backup', 'single', cluster.uri(database), '--output-dir', repository, '--quiet'], user);
        expectFailure(outcome, { status: 1, code: 'not_writable', message: /closed/, hint: /owner and mode/ });
      }
      assert.deepEqual(await listFiles(closed), []);

      if (noMountReason === false) {
        await withSmallDisk(join(base, 'disk'), mebibyte, async () => {
          await runChildOrThrow('mount', ['-o', 'remount,ro', join(base, 'disk')]);
          const outcome = await runCli([
            'backup',
            'single',
            cluster.uri(database),
            '--output-dir',
            join(base, 'disk/repository'),
            '--quiet',
          ]);
          expectFailure(outcome, { status: 1, code: 'not_writable', message: /disk\/repository/, hint: /owner and mode/ });
        });
      }

      // A repository of somebody else, to whom it shows nothing.
      const foreign = join(base, 'foreign');
      await mkdir(foreign, { mode: 0o700 });
      if (process.getuid?.() !== 0) return;
      for (const args of [['backup', 'single', cluster.uri(database)], ['list'], ['verify', 'x-1'], ['show', 'x-1']]) {
        const outcome = await runCli([...args, '--output-dir', foreign, ...(args[0] === 'show' ? [] : ['--quiet'])], user);
        expectFailure(outcome, { status: 1, code: 'io_error', message: /foreign/, hint: /owner and mode/ });
      }
    });
  });

  it('is told for a path below a file, and for a file', async () => {
    await withScene(smallSql, async ({ cluster, database, base }) => {
      const file = join(base, 'file');
      await writeFile(file, 'something');
      await symlink('nowhere', join(base, 'link to a file that is not there'));
      for (const [repository, code, status] of [
        [join(file, 'repository'), 'io_error', 1],
        [join(base, 'link to a file that is not there', 'repository'), 'io_error', 1],
        [file, 'not_a_repository', 10],
      ] as const) {
        const outcome = await runCli(['backup', 'single', cluster.uri(database), '--output-dir', repository, '--quiet']);
        expectFailure(outcome, { status, code, message: /file/ });
      }
      assert.equal(await readFile(file, 'utf8'), 'something');
    });
  });

  it('is told for a directory that holds something else, which is left as it was', async () => {
    await withScene(smallSql, async ({ cluster, database, run, repository }) => {
      await mkdir(join(repository, 'photos'), { recursive: true });
      await writeFile(join(repository, 'photos/manifest.json'), '{}');
      const expected = {
        status: 10,
        code: 'not_a_repository',
        message: /is not a dbbackup repository/,
        hint: /empty directory or an existing/,
      };
      for (const args of [
        ['backup', 'single', cluster.uri(database)],
        ['restore', 'single', 'photos', '--target-db', cluster.uri(database)],
        ['verify', 'photos'],
        ['list'],
        ['delete', 'photos', '--yes'],
      ]) {
        expectFailure(await run(args), expected);
      }
      expectFailure(await runCli(['show', 'photos', '--output-dir', repository]), expected);
      assert.deepEqual(await listFiles(repository), ['photos/manifest.json']);
    });
  });

  it('is told for one that does not exist, and for a backup that does not', async () => {
    await withScene('', async ({ run, repository, backUp }) => {
      for (const args of [['list'], ['verify', 'x-1'], ['delete', 'x-1', '--yes'], ['restore', 'single', 'x-1', '--target-db', 'x']])
        expectFailure(await run(args), { status: 10, code: 'repository_not_found', message: /there is no repository in/ });
      assert.deepEqual(await listFiles(repository), []);
      await backUp();
      for (const id of ['x-1', '../x', 'x/../../y'])
        expectFailure(await run(['verify', id]), { status: 10, code: 'backup_not_found', message: /backup/ });
    });
  });

  it('takes two backups at once, and more, from the moment it is created', async () => {
    await withScene(smallSql, async ({ cluster, database, run, repository }) => {
      const outcomes = await Promise.all([1, 2, 3].map(() => run(['backup', 'single', cluster.uri(database)])));
      const ids = outcomes.map((outcome) => expectSuccess(outcome).trim()).sort();
      assert.equal(new Set(ids).size, 3);
      const { backups } = await list({ outputDir: repository });
      assert.deepEqual(backups.map(({ id }) => id).sort(), ids);
      for (const id of ids) assert.deepEqual((await verify({ id, outputDir: repository })).damage, []);
      assert.deepEqual(
        (await listFiles(repository)).filter((path) => path.endsWith('.tmp')),
        [],
      );
    });
  });
});

describe('a disk that fills', { skip: noMountReason }, () => {
  const sql = `CREATE TABLE filler AS SELECT i AS id, decode(md5(i::text) || md5((-i)::text), 'hex') AS v FROM generate_series(1, 200000) i;
    CREATE TABLE other AS SELECT * FROM filler LIMIT 1000;`;

  it('ends the run while rows are stored, in every codec and with each way of writing', async () => {
    await withScene(sql, async ({ cluster, database, base }) => {
      const disk = join(base, 'disk');
      for (const compression of ['none', 'zstd', 'lz4', 'gzip']) {
        await withSmallDisk(disk, 2 * mebibyte, async () => {
          const repository = join(disk, 'repository');
          const args = ['backup', 'single', cluster.uri(database), '--compression', compression, '--chunk-size', '1MB', '--no-preflight'];
          const outcome = await runCli([...args, '--output-dir', repository, '--quiet']);
          expectFailure(outcome, { status: 1, code: 'disk_full', message: /No space left on device/, hint: /--output-dir/ });
          await expectFailedRun(repository);
        });
      }
    });
  });

  it('of temporary files ends a restore before the target is touched', async () => {
    const longSql = `${smallSql} COMMENT ON TABLE orders IS '${'long '.repeat(5000)}';`;
    await withScene(longSql, async ({ cluster, database, base, run, backUp }) => {
      const id = await backUp();
      const before = await tableFingerprints(cluster, database);
      const args = ['restore', 'single', id, '--target-db', cluster.uri(database), '--clean', '--yes'];
      const disk = join(base, 'disk');
      await withSmallDisk(disk, 4096, async () => {
        expectFailure(await run(args, { env: { TMPDIR: disk } }), {
          status: 1,
          code: 'disk_full',
          message: /disk.*ENOSPC/,
          hint: /TMPDIR/,
        });
      });
      expectFailure(await run(args, { env: { TMPDIR: join(base, 'none') } }), {
        status: 1,
        code: 'io_error',
        message: /none/,
        hint: /TMPDIR/,
      });
      assert.deepEqual(await tableFingerprints(cluster, database), before);
    });
  });

  it('ends the run wherever it is: in the last file, the restore kit, the schema or the journal', async () => {
    await withScene(smallSql, async ({ cluster, database, base }) => {
      const disk = join(base, 'disk');
      const repository = join(disk, 'repository');
      const args = ['backup', 'single', cluster.uri(database), '--output-dir', repository, '--quiet', '--no-preflight'];
      const wholeBytes = await withSmallDisk(disk, 64 * mebibyte, async () => {
        expectSuccess(await runCli(args));
        return usedBytes(disk);
      });
      const pageBytes = 4096;
      const messages = new Set<string>();
      for (let lackingBytes = pageBytes; lackingBytes < wholeBytes; lackingBytes += pageBytes) {
        await withSmallDisk(disk, wholeBytes - lackingBytes, async () => {
          const outcome = await runCli(args);
          const { message } = expectFailure(outcome, { status: 1, code: 'disk_full', message: /No space left on device|ENOSPC/ });
          messages.add(message.replace(/.*\/|:.*/g, ''));
          await expectNothingPublished(repository);
          await expectOneUnfinishedRun(repository);
        });
      }
      assert.ok(messages.size >= 5, [...messages].join(', '));
    });
  });
});
