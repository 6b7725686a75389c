import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backup, DbbackupError } from '#src/index.js';
import { expectFailure } from './support/failure.js';
import { expectFailedRun } from './support/leftovers.js';
import { withScene } from './support/scene.js';

const mebibyte = 1024 ** 2;
const largeBytes = 600 * mebibyte;

/** Rows that are small on disk; lz4 is the faster way to make them so. */
const sql = `SET default_toast_compression = 'lz4';
CREATE TABLE one (id int, v bytea, filler text);
INSERT INTO one SELECT i, 'small', repeat('x', 100) FROM generate_series(1, 300) i;
INSERT INTO one VALUES (301, convert_to(repeat('x', ${largeBytes}), 'UTF8'));
INSERT INTO one SELECT i, 'small', repeat('x', 100) FROM generate_series(302, 400) i;
CREATE TABLE fine AS SELECT i AS id FROM generate_series(1, 1000) i;
`;

describe('a row that COPY cannot send', () => {
  it('is named by table and ctid: as text beyond half a GB, in binary beyond one GB in sum; all else is read', async () => {
    await withScene(sql, async ({ cluster, database, run, repository }) => {
      const place = await cluster.psql(database, 'SELECT ctid FROM one WHERE id = 301');
      expectFailure(await run(['backup', 'single', cluster.uri(database), '--format', 'text']), {
        status: 1,
        code: 'row_too_large',
        hint: /--format binary/,
        message: new RegExp(
          `^the row of public\\.one at ctid ${place.replace(/[()]/g, '\\$&')} is larger than COPY can send: about 12582912\\d\\d bytes as text$`,
        ),
      });
      await expectFailedRun(repository);

      await cluster.psql(database, 'ALTER TABLE one ADD w bytea; UPDATE one SET w = v WHERE id = 301;');
      const newPlace = await cluster.psql(database, 'SELECT ctid FROM one WHERE id = 301');
      const finished: string[] = [];
      const failure = await backup(
        { connection: { database: cluster.uri(database) }, outputDir: repository },
        { onEvent: (event) => void (event.type === 'chunk.finished' && finished.push(event.name)) },
      ).then(
        () => assert.fail('the backup succeeded'),
        (error: unknown) => error,
      );
      assert.ok(failure instanceof DbbackupError);
      assert.equal(failure.code, 'row_too_large');
      assert.ok(
        failure.message.startsWith(`the row of public.one at ctid ${newPlace} is larger than COPY can send: about 12582912`),
        failure.message,
      );
      assert.match(failure.message, /as binary$/);
      assert.match(failure.hint ?? '', /split the value/);
      assert.ok(finished.includes('public.fine'), 'other tables are read to their end');
      await expectFailedRun(repository);
    });
  });
});
