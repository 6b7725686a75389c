import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { uniqueDatabaseName } from '../support/database.js';
import { tlsLogin } from '../support/login.js';
import { expectFailure, expectSuccess, type Failure } from './support/failure.js';
import { expectFailedRun, expectNoSessions } from './support/leftovers.js';
import { withOwnServer } from './support/own-server.js';
import { type RunningCli, startRun } from './support/running.js';
import { type Scene, withScene } from './support/scene.js';
import { napSql, slowTableSql, startSlowBackup, waitForSleep } from './support/slow.js';

const expectLost = async (run: RunningCli): Promise<Failure> =>
  expectFailure(await run.outcome, { status: 1, code: 'connection_lost', message: /./, hint: /log/ });

/** Ends one server process of a run, as soon as one meets the condition: between two chunks there may be none. */
const terminate = async ({ cluster, database }: Pick<Scene, 'cluster' | 'database'>, condition: string): Promise<void> => {
  const query = `SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE datname = '${database}' AND ${condition} LIMIT 1) victim`;
  for (let tries = 1; (await cluster.psql('postgres', query)) !== '1'; tries += 1) {
    assert.ok(tries < 100, `no server process of the run where ${condition}`);
    await sleep(50);
  }
};

const isReading = (event: { readonly type: string }): boolean => event.type === 'chunk.finished';

describe('a connection that is lost', () => {
  for (const [title, login] of [
    ['plain', {}],
    ['TLS', tlsLogin],
  ] as const) {
    it(`of one worker is made again, under the same snapshot (${title})`, async () => {
      await withScene(slowTableSql, async (scene) => {
        const { cluster, database, repository } = scene;
        // One chunk, which takes seconds: the server is in the middle of it.
        const run = startSlowBackup(
          cluster.uri(database, login),
          repository,
          '--chunk-size',
          '64MB',
          '--compression',
          'zstd:1',
          '--max-rate',
          '5MB',
        );
        await run.waitFor((event) => event.type === 'progress' && event.rawBytes > 0);
        await cluster.psql(database, 'DELETE FROM slow');
        await terminate(scene, "query LIKE 'COPY %' AND state = 'active'");
        const retried = await run.waitFor('chunk.retried');
        assert.ok(retried.type === 'chunk.retried');
        assert.deepEqual([retried.code, retried.attempt], ['connection_lost', 1]);
        assert.match(retried.name, /^public\.slow/);
        // A server that cannot get rid of its rows does not send its reason either.
        assert.match(retried.message, /^(terminating connection due to administrator command|the connection to the server was lost: .+)$/);
        expectSuccess(await run.outcome);
        await expectNoSessions(cluster, database);
        const finished = run.events.find((event) => event.type === 'backup.finished');
        assert.equal(finished?.type === 'backup.finished' && finished.rowCount, 24_000);
      });
    });
  }

  it('of the leader ends the backup, and no manifest is written although all rows were read', async () => {
    for (const [flags, leader, code] of [
      [[], 'dbbackup keeper %', 'snapshot_invalid'],
      [['--no-keeper'], 'dbbackup', 'connection_lost'],
    ] as const) {
      await withScene(slowTableSql, async (scene) => {
        const { cluster, database, repository } = scene;
        const run = startSlowBackup(cluster.uri(database), repository, '--compression', 'zstd:12', ...flags);
        await run.waitFor(isReading);
        await terminate(scene, `application_name LIKE '${leader}'`);
        expectFailure(await run.outcome, { status: 1, code, message: /./ });
        await expectFailedRun(repository);
        await expectNoSessions(cluster, database);
      });
    }
  });

  it('of all when the server is shut down ends the backup and the restore', async () => {
    await withOwnServer({}, async ({ cluster, start, stop }) => {
      await withScene(
        `${slowTableSql} ${napSql} CREATE TABLE checked (id int CHECK (public.nap(id))); INSERT INTO checked VALUES (1);`,
        async ({ database, repository, backUp }) => {
          const expectLostByStop = async (run: RunningCli, mode: 'immediate' | 'fast'): Promise<void> => {
            await stop(mode);
            try {
              await expectLost(run);
            } finally {
              await start();
            }
          };
          for (const mode of ['immediate', 'fast'] as const) {
            const run = startSlowBackup(cluster.uri(database), repository);
            await run.waitFor(isReading);
            await expectLostByStop(run, mode);
            await expectFailedRun(repository);
          }

          const id = await backUp();
          const target = uniqueDatabaseName('nap');
          const run = startRun(['restore', 'single', id, '--target-db', cluster.uri(target), '--create', '--output-dir', repository]);
          await waitForSleep(cluster, target);
          await expectLostByStop(run, 'immediate');
        },
        { cluster },
      );
    });
  });
});
