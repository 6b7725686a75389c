import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openSession } from '#src/native/session.js';
import type { Cluster } from '../support/cluster.js';
import { expectFailure } from './support/failure.js';
import { expectFailedRun, expectNoSessions } from './support/leftovers.js';
import type { RunningCli } from './support/running.js';
import { withScene } from './support/scene.js';
import { slowTableSql, startSlowBackup, waitForSession } from './support/slow.js';

/** One large table that takes a while, and small ones that come after it. */
const sql = `${slowTableSql} CREATE TABLE wanted AS SELECT i AS id FROM generate_series(1, 1000) i;`;
const alter = 'ALTER TABLE wanted ADD COLUMN extra int';
const warningsOf = (run: RunningCli): readonly string[] => run.events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));

/** Runs `fn` while a session named `psql` waits to change the table; `ended` tells how its statement ended. */
const withQueued = async (
  cluster: Cluster,
  database: string,
  fn: (ended: Promise<string>, close: () => Promise<void>) => Promise<void>,
): Promise<void> => {
  const session = await openSession({ keywords: ['dbname', 'application_name'], values: [cluster.uri(database), 'psql'] });
  try {
    const ended = session.query(alter).then(
      ({ command }) => command,
      (error: Error) => error.message,
    );
    await waitForSession(cluster, `datname = '${database}' AND query = '${alter}' AND wait_event_type = 'Lock'`);
    await fn(ended, () => session.close());
  } finally {
    await session.close();
  }
};

const bothSessions =
  /^public\.wanted: server process \d+ \(psql: ALTER TABLE wanted ADD COLUMN extra int\) waits for the lock that server process \d+ of this backup holds/;

describe('a session that waits for a lock of the backup', () => {
  it('is told by --on-lock-queue warn; its table is read last, and then the session goes on', async () => {
    await withScene(sql, async ({ cluster, database, repository }) => {
      const run = startSlowBackup(cluster.uri(database), repository, '--compression', 'zstd:12');
      await run.waitFor('plan.ready');
      await withQueued(cluster, database, async (ended, close) => {
        const retried = await run.waitFor((event) => event.type === 'chunk.retried' && event.code === 'lock_not_available');
        assert.match(retried.type === 'chunk.retried' ? retried.name : '', /wanted/);
        // Nobody else is left to be read, and the backup waits for the other one.
        await run.waitFor((event) => event.type === 'chunk.finished' && event.name.startsWith('public.slow'));
        await close();
        assert.match(await ended, /cancel/);
        const { status, stderr } = await run.outcome;
        assert.equal(status, 3, stderr);
        const [warning, ...others] = warningsOf(run);
        assert.match(warning ?? '', bothSessions);
        assert.deepEqual(others, []);
        const finished = run.events.filter((event) => event.type === 'chunk.finished');
        assert.match(finished.at(-1)?.name ?? '', /wanted/);
      });
    });
  });

  it('makes the backup fail after --lock-wait-timeout, which names both sessions', async () => {
    await withScene(sql, async ({ cluster, database, repository }) => {
      const run = startSlowBackup(cluster.uri(database), repository, '--compression', 'zstd:6', '--lock-wait-timeout', '2s');
      await run.waitFor('plan.ready');
      await withQueued(cluster, database, async (ended) => {
        const { message } = expectFailure(await run.outcome, {
          status: 1,
          code: 'lock_not_available',
          message: bothSessions,
          hint: /other session/,
        });
        assert.match(message, /for longer than 2\.0 s$/);
        // The backup's end is the other one's turn.
        assert.equal(await ended, 'ALTER TABLE');
      });
      await expectFailedRun(repository);
      await expectNoSessions(cluster, database);
    });
  });

  for (const [action, code] of [
    ['fail', 'lock_not_available'],
    ['yield', 'lock_yielded'],
  ] as const) {
    it(`ends the backup at once with --on-lock-queue ${action}, also where its table has been read, and goes on`, async () => {
      await withScene(sql, async ({ cluster, database, repository }) => {
        const run = startSlowBackup(cluster.uri(database), repository, '--compression', 'zstd:22', '--on-lock-queue', action);
        await run.waitFor('plan.ready');
        const startedMs = performance.now();
        await withQueued(cluster, database, async (ended) => {
          expectFailure(await run.outcome, { status: 1, code, message: bothSessions, hint: /other session/ });
          assert.equal(await ended, 'ALTER TABLE');
          assert.ok(performance.now() - startedMs < 20_000);
        });
        await expectFailedRun(repository);
      });
    });
  }
});
