import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../support/cli.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { withScene } from './support/scene.js';
import { noMountReason, usedBytes, withSmallDisk } from './support/small-disk.js';

const mebibyte = 1024 ** 2;

/** Values that do not compress. */
const sql = (megabytes: number): string => `
CREATE TABLE noise (id int, v bytea);
ALTER TABLE noise ALTER v SET STORAGE EXTERNAL;
INSERT INTO noise SELECT i, (SELECT decode(string_agg(md5(i::text || j::text), ''), 'hex') FROM generate_series(1, 4096) j) FROM generate_series(1, ${megabytes * 16}) i;`;

test('a backup that fills its disk stops cleanly and says how much is missing', { skip: noMountReason }, () =>
  withScene(sql(48), async ({ cluster, database, base }) => {
    const disk = join(base, 'disk');
    await withSmallDisk(disk, 24 * mebibyte, async () => {
      const options = ['--output-dir', join(disk, 'repository'), '--quiet', '--chunk-size', '4MB'];
      const { message } = expectFailure(await runCli(['backup', 'single', cluster.uri(database), ...options]), {
        status: 1,
        code: 'disk_full',
        message: /, about [\d.]+ MB more would be needed$/,
        hint: /--output-dir/,
      });
      const missing = Number(/about ([\d.]+) MB more/.exec(message)?.[1]);
      assert.ok(missing > 8 && missing < 48, message);
      const listed = expectSuccess(await runCli(['list', '--output-dir', join(disk, 'repository'), '--json']));
      assert.equal((JSON.parse(listed) as { readonly backups: readonly unknown[] }).backups.length, 0, 'there is no backup');
      assert.ok((await usedBytes(disk)) < 24 * mebibyte, 'unfinished files are gone');
    });
  }),
);

test('what cannot fit is refused before a row is read', { skip: noMountReason }, () =>
  withScene(sql(48), async ({ cluster, database, base }) => {
    const disk = join(base, 'disk');
    await withSmallDisk(disk, mebibyte, async () => {
      const outcome = await runCli(['backup', 'single', cluster.uri(database), '--output-dir', join(disk, 'repository'), '--quiet']);
      expectFailure(outcome, {
        status: 1,
        code: 'disk_full',
        message: /are free in .*, the tables take .* before compression/,
        hint: /^Free at least /,
      });
    });
  }),
);
