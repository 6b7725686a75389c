import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { show, verify } from '#src/index.js';
import { runCli } from '../support/cli.js';
import { type Cluster, toCluster } from '../support/cluster.js';
import { withDatabase } from '../support/database.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { type Login, superuserLogin, tlsLogin } from '../support/login.js';
import { type ProxyFault, withProxy } from '../support/proxy.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { expectFailedRun, expectNoSessions, listFiles } from './support/leftovers.js';
import { type RunningCli, startRun } from './support/running.js';
import { withScene } from './support/scene.js';
import { slowTableSql, waitForSession } from './support/slow.js';

const mebibyte = 1024 ** 2;
const retriesOf = (run: RunningCli) => run.events.filter((event) => event.type === 'chunk.retried');

/** Rows that are small on disk, so that a chunk of a little fills many files. */
const sql = `${slowTableSql} SET default_toast_compression = 'pglz';
CREATE TABLE folded AS SELECT i AS id, repeat('row ' || i || ' ', 20000) AS v FROM generate_series(1, 160) i;`;

/** The last run's backup has exactly the files its manifest names, and is sound. */
const expectSound = async (run: RunningCli, repository: string): Promise<string> => {
  const finished = run.events.find((event) => event.type === 'backup.finished');
  assert.ok(finished?.type === 'backup.finished');
  const { id } = finished;
  const { manifest } = await show({ id, outputDir: repository });
  const stored = (await listFiles(join(repository, id))).filter((path) => path.startsWith('data/'));
  assert.deepEqual(stored, manifest.files.map(({ path }) => path).sort());
  assert.deepEqual((await verify({ id, outputDir: repository })).damage, []);
  return id;
};

describe('a connection that a proxy breaks', () => {
  const faults: readonly (readonly [string, Login, ProxyFault])[] = [
    ['is cut', superuserLogin, { kind: 'cut', afterBytes: 3 * mebibyte }],
    ['is reset', superuserLogin, { kind: 'reset', afterBytes: 5 * mebibyte + 4711 }],
    ['is cut within TLS', tlsLogin, { kind: 'cut', afterBytes: 3 * mebibyte + 17 }],
    ['is reset within TLS', tlsLogin, { kind: 'reset', afterBytes: 5 * mebibyte }],
    ['is slow', superuserLogin, { kind: 'delay', afterBytes: mebibyte, delayMs: 5 }],
  ];
  for (const [title, login, fault] of faults) {
    it(`${title}: its task alone is read again, and nothing is left of the first try`, async () => {
      await withScene(sql, async ({ cluster, database, repository }) => {
        // The leader and pg_dump pass less than that; of the workers' connections the first four break.
        await withProxy(cluster.port, { chooseFault: (connection) => (connection < 6 ? fault : null) }, async (proxy) => {
          const through = toCluster({ ...cluster, port: proxy.port }).uri(database, login);
          const run = startRun([
            'backup',
            'single',
            through,
            '--output-dir',
            repository,
            '--jobs',
            '2',
            '--chunk-size',
            '1MB',
            '--compression',
            'none',
          ]);
          expectSuccess(await run.outcome);
          assert.ok(proxy.faultCount > 0, 'a fault was injected');
          const retries = retriesOf(run);
          if (fault.kind === 'delay') assert.deepEqual(retries, []);
          else {
            assert.equal(retries.length, proxy.faultCount);
            assert.ok(retries.every((event) => event.type === 'chunk.retried' && event.code === 'connection_lost'));
          }
          const id = await expectSound(run, repository);
          await withDatabase(cluster, async (target) => {
            expectSuccess(
              await runCli(['restore', 'single', id, '--output-dir', repository, '--target-db', cluster.uri(target), '--quiet']),
            );
            assert.deepEqual(await tableFingerprints(cluster, target), await tableFingerprints(cluster, database));
          });
        });
      });
    });
  }

  it('again and again ends the run, once it was tried for as long as is sensible', { timeout: 240_000 }, async () => {
    await withScene(slowTableSql, async ({ cluster, database, repository }) => {
      await withProxy(cluster.port, { chooseFault: () => ({ kind: 'cut', afterBytes: 2 * mebibyte }) }, async (proxy) => {
        const through = toCluster({ ...cluster, port: proxy.port }).uri(database, superuserLogin);
        const run = startRun(['backup', 'single', through, '--output-dir', repository, '--jobs', '1', '--chunk-size', '64MB']);
        expectFailure(await run.outcome, { status: 1, code: 'connection_lost', message: /^public\.slow/, hint: /log/ });
        assert.equal(retriesOf(run).length, 7);
        await expectFailedRun(repository);
        await expectNoSessions(cluster, database);
      });
    });
  });

  it('is not waited for when the run is cancelled', async () => {
    await withScene(slowTableSql, async ({ cluster, database, repository }) => {
      await withProxy(cluster.port, { chooseFault: () => ({ kind: 'cut', afterBytes: 2 * mebibyte }) }, async (proxy) => {
        const through = toCluster({ ...cluster, port: proxy.port }).uri(database, superuserLogin);
        const run = startRun(['backup', 'single', through, '--output-dir', repository, '--jobs', '1', '--chunk-size', '64MB']);
        // The fifth wait is of 4 to 8 seconds.
        await run.waitFor((event) => event.type === 'chunk.retried' && event.attempt === 5);
        const { status, elapsedMs } = await run.end('SIGTERM');
        assert.equal(status, 143);
        assert.ok(elapsedMs < 3500, `${elapsedMs} ms`);
        await expectFailedRun(repository);
      });
    });
  });
});

/** Runs something in the server's sessions that read, once some have begun. */
const disturb = async (cluster: Cluster, database: string, command: string): Promise<void> => {
  const isReading = `datname = '${database}' AND state = 'active' AND query LIKE 'COPY %'`;
  await waitForSession(cluster, isReading);
  assert.notEqual(await cluster.psql('postgres', `SELECT count(${command}) FROM pg_stat_activity WHERE ${isReading}`), '0');
};

describe('an error that passes', () => {
  it('of a cancelled statement is tried once more, and no more', async () => {
    await withScene(slowTableSql, async ({ cluster, database, repository }) => {
      const start = () =>
        startRun([
          'backup',
          'single',
          cluster.uri(database),
          '--output-dir',
          repository,
          '--jobs',
          '1',
          '--compression',
          'zstd:12',
          '--force-level',
          '--chunk-size',
          '64MB',
        ]);
      const once = start();
      await disturb(cluster, database, 'pg_cancel_backend(pid)');
      const retried = await once.waitFor('chunk.retried');
      assert.match(retried.type === 'chunk.retried' ? retried.message : '', /canceling statement due to user request/);
      expectSuccess(await once.outcome);
      await expectSound(once, repository);

      const twice = start();
      await disturb(cluster, database, 'pg_cancel_backend(pid)');
      await twice.waitFor('chunk.retried');
      await disturb(cluster, database, 'pg_cancel_backend(pid)');
      expectFailure(await twice.outcome, { status: 1, code: 'server_error', message: /^public\.slow.*: canceling statement/, hint: /^$/ });
      assert.equal(retriesOf(twice).length, 1);
    });
  });

  it('of a connection limit is waited for', async () => {
    await withScene(slowTableSql, async ({ cluster, database, repository }) => {
      await cluster.psql(
        'postgres',
        `CREATE ROLE limited LOGIN SUPERUSER; ALTER ROLE limited NOSUPERUSER CONNECTION LIMIT 3; GRANT pg_read_all_data TO limited`,
      );
      try {
        const uri = cluster.uri(database, { user: 'limited' });
        // The control session, the keeper and one worker: the other one's tasks wait for a connection, or for that worker.
        const run = startRun(['backup', 'single', uri, '--output-dir', repository, '--jobs', '2', '--chunk-size', '4MB']);
        const retried = await run.waitFor('chunk.retried');
        assert.match(retried.type === 'chunk.retried' ? retried.message : '', /too many connections for role "limited"/);
        expectSuccess(await run.outcome);
        await expectSound(run, repository);
      } finally {
        await cluster.psql('postgres', 'DROP ROLE limited');
      }
    });
  });
});
