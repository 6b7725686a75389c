import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Event, verify } from '#src/index.js';
import { runChild } from '../support/child.js';
import { cliPath } from '../support/cli.js';
import { superuserLogin, tlsLogin } from '../support/login.js';
import { noCapReason, withMemoryCap } from './support/memory-cap.js';
import { withScene } from './support/scene.js';

const mebibyte = 1024 ** 2;
/** As large as COPY can send with what surrounds it. */
const largeBytes = 1_000_000_000;

/** Small on the disk: the server takes some seconds and GB to make it large. */
const sql = `SET default_toast_compression = 'lz4';
CREATE TABLE large (id int, v bytea); INSERT INTO large VALUES (1, convert_to(repeat('a large value.. ', ${Math.floor(largeBytes / 16)}), 'UTF8'));
CREATE TABLE small AS SELECT i AS id, repeat(md5(i::text), 4) AS v FROM generate_series(1, 100000) i;`;

describe('a cap of 256 MB for dbbackup, its keeper and pg_dump together', { skip: noCapReason }, () => {
  for (const [title, login] of [
    ['plain TCP', superuserLogin],
    ['TLS', tlsLogin],
  ] as const) {
    it(`is enough for a row of 1 GB through ${title}, and for verifying it`, { timeout: 300_000 }, async (t) => {
      await withScene(sql, async ({ cluster, database, repository }) => {
        await withMemoryCap(256 * mebibyte, async (cap) => {
          const dbbackup = async (...args: readonly string[]): Promise<readonly Event[]> => {
            const [command, wrapped] = cap.wrap(process.execPath, [cliPath, ...args, '--output-dir', repository, '--json']);
            const { status, stdout, stderr } = await runChild(command, wrapped);
            assert.equal(status, 0, stderr);
            return stdout
              .split('\n')
              .filter((line) => line !== '')
              .map((line) => JSON.parse(line) as Event);
          };
          const events = await dbbackup('backup', 'single', cluster.uri(database, login), '--jobs', '4');
          const finished = events.find((event) => event.type === 'backup.finished');
          assert.ok(finished?.type === 'backup.finished');
          assert.ok(finished.rawBytes > largeBytes);
          const verified = (await dbbackup('verify', finished.id)).find((event) => event.type === 'verify.finished');
          assert.equal(verified?.type === 'verify.finished' && verified.damageCount, 0);
          assert.equal(await cap.killCount(), 0);
          t.diagnostic(`peak memory of dbbackup: ${Math.round(finished.peakRssBytes / mebibyte)} MB`);
          assert.ok(finished.peakRssBytes < 200 * mebibyte, `${finished.peakRssBytes} bytes`);
          assert.deepEqual((await verify({ id: finished.id, outputDir: repository, jobs: 2 })).damage, []);
        });
      });
    });
  }

  it('holds: what takes more is killed', async () => {
    await withMemoryCap(64 * mebibyte, async (cap) => {
      const [command, args] = cap.wrap(process.execPath, ['-e', 'const kept = []; for (;;) kept.push(Buffer.alloc(1e7, 1))']);
      assert.notEqual((await runChild(command, args)).status, 0);
      assert.equal(await cap.killCount(), 1);
    });
  });
});
