import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Event, show } from '#src/index.js';
import { openSession } from '#src/native/session.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { expectFailedRun } from './support/leftovers.js';
import { startRun } from './support/running.js';
import { smallSql, withScene } from './support/scene.js';
import { slowTableSql, startSlowBackup, waitForBlocked, withTransaction } from './support/slow.js';

const rowCounts = async (id: string, repository: string): Promise<Readonly<Record<string, number>>> => {
  const { manifest } = await show({ id, outputDir: repository });
  return Object.fromEntries((manifest.databases[0]?.relations ?? []).map(({ name, rowCount }) => [name, rowCount]));
};

const finishedId = (events: readonly Event[]): string => {
  const finished = events.find((event) => event.type === 'backup.finished');
  assert.ok(finished?.type === 'backup.finished');
  return finished.id;
};

/** What others do to tables after they were listed and before they are locked, and what the backup then holds. */
const duringLocking: readonly (readonly [what: string, sql: string, expected: Readonly<Record<string, number>>])[] = [
  ['dropped', 'DROP TABLE orders', { files: 100 }],
  ['renamed', 'ALTER TABLE orders RENAME TO bills', { bills: 100, files: 100 }],
  ['moved to another schema', 'CREATE SCHEMA s; ALTER TABLE orders SET SCHEMA s', { orders: 100, files: 100 }],
  ['emptied', 'TRUNCATE orders', { orders: 0, files: 100 }],
  ['rewritten', 'ALTER TABLE orders ALTER id TYPE bigint', { orders: 100, files: 100 }],
  ['replaced', 'DROP TABLE orders; CREATE TABLE orders AS SELECT 1 AS id', { orders: 1, files: 100 }],
];

describe('DDL beside a backup', () => {
  for (const [what, sql, expected] of duringLocking) {
    it(`lets it save a table that was ${what} between listing and locking as it is then`, async () => {
      await withScene(smallSql, async ({ cluster, database, repository }) => {
        await withTransaction(cluster, database, sql, async (end) => {
          const run = startRun(['backup', 'single', cluster.uri(database), '--output-dir', repository]);
          await waitForBlocked(cluster, database);
          await end('COMMIT');
          expectSuccess(await run.outcome);
          assert.deepEqual(await rowCounts(finishedId(run.events), repository), expected);
        });
      });
    });
  }

  it('gets no lock while it runs, and the rows are those of its snapshot', async () => {
    await withScene(`${smallSql} ${slowTableSql}`, async ({ cluster, database, repository }) => {
      const run = startSlowBackup(cluster.uri(database), repository, '--compression', 'zstd:12');
      await run.waitFor('snapshot.taken');
      await cluster.psql(
        database,
        'DELETE FROM orders; INSERT INTO files SELECT i FROM generate_series(101, 200) i; CREATE TABLE late (id int)',
      );
      for (const sql of [
        'TRUNCATE slow',
        'ALTER TABLE orders ALTER note TYPE varchar(100)',
        'DROP TABLE files',
        'CLUSTER orders USING orders_pkey',
      ]) {
        await assert.rejects(cluster.psql(database, `SET lock_timeout = '10ms';\n${sql}`), /lock timeout/, sql);
      }
      expectSuccess(await run.outcome);
      assert.deepEqual(await rowCounts(finishedId(run.events), repository), { files: 100, orders: 100, slow: 24000 });
    });
  });

  it('that waits for a table the backup has yet to read makes the backup fail, and goes on', async () => {
    await withScene(`${smallSql} ${slowTableSql}`, async ({ cluster, database, repository }) => {
      // Everybody who comes later queues behind it: a worker that waited would wait for the leader, which waits for the worker.
      const run = startSlowBackup(cluster.uri(database), repository, '--compression', 'zstd:12', '--jobs', '1', '--on-lock-queue', 'fail');
      await run.waitFor('chunk.finished');
      const other = await openSession({ keywords: ['dbname', 'application_name'], values: [cluster.uri(database), 'other'] });
      try {
        const truncated = other.query('TRUNCATE orders');
        expectFailure(await run.outcome, { status: 1, code: 'lock_not_available', message: /public\.orders/, hint: /other session/ });
        await truncated;
      } finally {
        await other.close();
      }
      await expectFailedRun(repository);
    });
  });
});
