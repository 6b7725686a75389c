import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { backup, DbbackupError, type Event } from '#src/index.js';
import type { Cluster } from '../support/cluster.js';
import { expectFailure } from './support/failure.js';
import { expectFailedRun } from './support/leftovers.js';
import { type OwnServer, withOwnServer } from './support/own-server.js';
import { withScene } from './support/scene.js';

const blockBytes = 8192;

/** Overwrites some bytes in the middle of one block of a table while the server is down: its checksum no longer fits. */
const damageBlock = async ({ cluster, start, stop }: OwnServer, database: string, table: string, block: number): Promise<void> => {
  const path = join(cluster.dataDir, await cluster.psql(database, `SELECT pg_relation_filepath('${table}')`));
  await cluster.psql(database, 'CHECKPOINT');
  await stop();
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(16, 0xaa), 0, 16, block * blockBytes + 4000);
  await file.close();
  await start();
};

const sql = `CREATE TABLE large AS SELECT i AS id, repeat(md5(i::text), 8) AS v FROM generate_series(1, 60000) i;
CREATE TABLE small AS SELECT i AS id, repeat('x', 500) AS v FROM generate_series(1, 100) i;
CREATE TABLE fine AS SELECT i AS id FROM generate_series(1, 1000) i;
CREATE TABLE toasted (id int, v text);
ALTER TABLE toasted ALTER v SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT i, repeat(md5(i::text), 500) FROM generate_series(1, 20) i;`;

const failedBackup = async (
  cluster: Cluster,
  database: string,
  repository: string,
): Promise<{ failure: DbbackupError; events: readonly Event[] }> => {
  const events: Event[] = [];
  const options = { connection: { database: cluster.uri(database) }, outputDir: repository, chunkSizeBytes: 1024 ** 2 };
  const failure = await backup(options, { onEvent: (event) => void events.push(event) }).then(
    () => assert.fail('the backup succeeded'),
    (error: unknown) => error,
  );
  assert.ok(failure instanceof DbbackupError, String(failure));
  return { failure, events };
};

describe('a page that the server cannot read', () => {
  it('is told with its table and ctid range; all other chunks are read, and there is no backup', async () => {
    await withOwnServer({ initArgs: ['--data-checksums'] }, async (server) => {
      const { cluster } = server;
      await withScene(
        sql,
        async ({ database, run, repository }) => {
          await damageBlock(server, database, 'large', 1000);
          const { failure, events } = await failedBackup(cluster, database, repository);
          assert.equal(failure.code, 'page_damaged');
          assert.match(failure.message, /block 1000/);
          const chunk = /^public\.large chunk \d+\/(\d+) \(ctid blocks (\d+) to (\d+)\)$/.exec(failure.details.object ?? '');
          assert.ok(chunk !== null, failure.details.object);
          const [, count, begin, end] = chunk.map(Number);
          assert.ok((begin ?? 0) <= 1000 && 1000 <= (end ?? 0), chunk[0]);
          const ended = events.flatMap((event) => (event.type === 'chunk.finished' ? [event.name] : []));
          assert.equal(ended.filter((name) => name.startsWith('public.large chunk')).length, (count ?? 0) - 1);
          for (const table of ['small', 'fine', 'toasted'])
            assert.ok(ended.join().includes(table) || ended.join().includes('more'), ended.join());
          await expectFailedRun(repository);

          const outcome = await run(['backup', 'single', cluster.uri(database)]);
          expectFailure(outcome, { status: 1, code: 'page_damaged', message: /public\.large.*block 1000/, hint: /Repair/ });
          await expectFailedRun(repository);

          // Several damaged chunks are all told; a table that is read whole is named by its block, a large value by its table.
          await damageBlock(server, database, 'small', 3);
          const toast = await cluster.psql(database, "SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'toasted'");
          await damageBlock(server, database, toast, 2);
          const several = await run(['backup', 'single', cluster.uri(database), '--chunk-size', '1MB']);
          expectFailure(several, { status: 1, code: 'page_damaged', message: /block/ });
          assert.match(several.stderr, /public\.large chunk \d+\/\d+ \(ctid blocks \d+ to \d+\) failed: .*block 1000/);
          assert.match(several.stderr, /public\.small failed: .*block 3/);
          assert.match(several.stderr, /public\.toasted failed: .*block 2/);
          await expectFailedRun(repository);
        },
        { cluster },
      );
    });
  });
});
