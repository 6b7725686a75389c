import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type KeeperSummary, listKeepers, stopKeepers } from '#src/index.js';
import { isAlive, waitForEnd } from '../integration/keeper/support.js';
import { runCli } from '../support/cli.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { expectFailedRun, expectNoSessions } from './support/leftovers.js';
import { withOwnServer } from './support/own-server.js';
import { type RunningCli, startRun } from './support/running.js';
import { type Scene, withScene } from './support/scene.js';
import { slowTableSql, startSlowBackup } from './support/slow.js';

/** Keepers of a test's database: other tests may have some of their own. */
const keepersOf = async (database: string): Promise<readonly KeeperSummary[]> =>
  (await listKeepers()).keepers.filter((keeper) => keeper.database === database);

const theKeeperOf = async (database: string): Promise<KeeperSummary> => {
  const [keeper, ...others] = await keepersOf(database);
  assert.ok(keeper !== undefined && others.length === 0, `${others.length + (keeper === undefined ? 0 : 1)} keepers`);
  return keeper;
};

const startReading = async ({ cluster, database, repository }: Scene, ...options: readonly string[]): Promise<RunningCli> => {
  const run = startSlowBackup(cluster.uri(database), repository, ...options);
  await run.waitFor('chunk.finished');
  return run;
};

/** True when the table's lock is held against a change of its definition. */
const isLocked = async ({ cluster, database }: Scene): Promise<boolean> => {
  const change = "SET lock_timeout = '300ms'; ALTER TABLE slow ALTER COLUMN v SET STATISTICS 10";
  const rewrite = "SET lock_timeout = '300ms'; LOCK TABLE slow IN ACCESS EXCLUSIVE MODE";
  await cluster.psql(database, change);
  return cluster.psql(database, `BEGIN; ${rewrite}; ROLLBACK`).then(
    () => false,
    (error: Error) => {
      assert.match(error.message, /lock timeout/);
      return true;
    },
  );
};

const readMemory = async (pid: number): Promise<number> =>
  Number(/VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'latin1'))?.[1]);

describe('the keeper of a backup', () => {
  it('holds snapshot and locks when the backup is killed, until it is stopped', async () => {
    await withScene(slowTableSql, async (scene) => {
      const { cluster, database } = scene;
      const run = await startReading(scene);
      const serving = await theKeeperOf(database);
      assert.deepEqual(
        { attachedPid: serving.attachedPid, endsInMs: serving.endsInMs, isHolding: serving.isHolding },
        {
          attachedPid: run.pid,
          endsInMs: null,
          isHolding: true,
        },
      );
      await run.end('SIGKILL');

      const waiting = await theKeeperOf(database);
      assert.equal(waiting.pid, serving.pid);
      assert.equal(waiting.attachedPid, null);
      assert.ok(waiting.endsInMs !== null && waiting.endsInMs > 3_500_000 && waiting.endsInMs <= 3_600_000, `${waiting.endsInMs}`);
      assert.equal(await isLocked(scene), true);
      const name = await cluster.psql('postgres', `SELECT application_name FROM pg_stat_activity WHERE pid = ${waiting.backendPid}`);
      assert.equal(name, `dbbackup keeper ${waiting.id}`.slice(0, 63));

      const listed = JSON.parse(expectSuccess(await runCli(['keeper', 'list', '--json'])));
      const found = listed.keepers.find(({ id }: KeeperSummary) => id === waiting.id);
      assert.deepEqual({ ...found, endsInMs: null, xminAge: null }, { ...waiting, endsInMs: null, xminAge: null });
      assert.match(
        expectSuccess(await runCli(['keeper', 'list'])),
        new RegExp(`^${waiting.id} .* ${waiting.pid} .* waiting, ends in `, 'm'),
      );

      assert.equal(
        expectSuccess(await runCli(['keeper', 'stop', waiting.id])),
        `stopped the keeper of ${waiting.id} (${database}, process ${waiting.pid})\n`,
      );
      await waitForEnd(waiting.pid);
      assert.equal(await isLocked(scene), false);
      const again = await runCli(['keeper', 'stop', waiting.id]);
      expectFailure(again, { status: 10, code: 'keeper_not_found', message: new RegExp(waiting.id) });
      await expectNoSessions(cluster, database);
      await expectFailedRun(scene.repository);
    });
  });

  it('ends by itself when its time to live has passed after a kill', async () => {
    await withScene(slowTableSql, async (scene) => {
      const run = await startReading(scene, '--keeper-ttl', '1s');
      const { pid } = await theKeeperOf(scene.database);
      await sleep(1500);
      assert.equal(await isAlive(pid), true);
      await run.end('SIGKILL');
      await waitForEnd(pid);
      assert.deepEqual(await keepersOf(scene.database), []);
      await expectNoSessions(scene.cluster, scene.database);
    });
  });

  it('ends with a backup that is finished, and with the unfinished run that is deleted', async () => {
    await withScene(slowTableSql, async (scene) => {
      const { cluster, database, repository, backUp } = scene;
      await backUp();
      assert.deepEqual(await keepersOf(database), []);
      await expectNoSessions(cluster, database);

      const run = await startReading(scene);
      const { id, pid } = await theKeeperOf(database);
      await run.end('SIGKILL');
      expectSuccess(await runCli(['delete', id, '--yes', '--output-dir', repository]));
      await waitForEnd(pid);
    });
  });

  it('is not there with --no-keeper', async () => {
    await withScene(slowTableSql, async (scene) => {
      const run = await startReading(scene, '--no-keeper');
      assert.deepEqual(await keepersOf(scene.database), []);
      await run.end('SIGKILL');
      await expectNoSessions(scene.cluster, scene.database);
      await expectFailedRun(scene.repository);
    });
  });

  it('takes less than 15 MB with 2 000 tables locked', async () => {
    const tables = "SELECT format('CREATE TABLE t%s (id int PRIMARY KEY, note text)', n) FROM generate_series(1, 2000) n \\gexec\n";
    await withScene(`${tables} ${slowTableSql}`, async (scene) => {
      const run = await startReading(scene);
      const { id, pid, backendPid } = await theKeeperOf(scene.database);
      const locks = `SELECT count(*) >= 2001 FROM pg_locks WHERE pid = ${backendPid} AND mode = 'AccessShareLock' AND granted`;
      assert.equal(await scene.cluster.psql('postgres', locks), 't');
      const peakKb = await readMemory(pid);
      assert.ok(peakKb > 1000 && peakKb < 15 * 1024, `${peakKb} kB`);
      await run.end('SIGKILL');
      await stopKeepers({ id });
      await expectNoSessions(scene.cluster, scene.database);
    });
  });

  it('that is killed ends the run, which says so', async () => {
    await withScene(slowTableSql, async (scene) => {
      const run = await startReading(scene);
      const { pid } = await theKeeperOf(scene.database);
      process.kill(pid, 'SIGKILL');
      expectFailure(await run.outcome, { status: 1, code: 'snapshot_invalid', message: /keeper|snapshot/, hint: /reliability/ });
      await expectFailedRun(scene.repository);
      await expectNoSessions(scene.cluster, scene.database);
    });
  });

  it('ends with its server, and a run after the restart does not mind', async () => {
    await withOwnServer({}, async ({ cluster, start, stop }) => {
      await withScene(
        slowTableSql,
        async (scene) => {
          const run = await startReading(scene);
          const { pid } = await theKeeperOf(scene.database);
          await run.end('SIGKILL');
          assert.equal(await isAlive(pid), true);
          await stop('immediate');
          await waitForEnd(pid);
          await start();
          assert.deepEqual(await keepersOf(scene.database), []);
          await scene.backUp();
        },
        { cluster },
      );
    });
  });

  it('of which there is one for each database of a cluster is stopped with the others', async () => {
    await withOwnServer({}, async ({ cluster }) => {
      await withScene(
        slowTableSql,
        async (scene) => {
          for (const name of ['one', 'two']) await cluster.createDatabase(`${scene.database}_${name}`);
          const run = startSlowCluster(scene);
          await run.waitFor('chunk.finished');
          const keepers = (await listKeepers()).keepers.filter(({ attachedPid }) => attachedPid === run.pid);
          const names = keepers.map(({ database }) => database).sort();
          assert.deepEqual(names, ['postgres', scene.database, `${scene.database}_one`, `${scene.database}_two`].sort());
          await run.end('SIGKILL');
          const stopped = await stopKeepers({ id: keepers[0]?.id ?? '' });
          assert.equal(stopped.stopped.length, 4);
          for (const { pid } of keepers) await waitForEnd(pid);
        },
        { cluster },
      );
    });
  });
});

const startSlowCluster = ({ cluster, repository }: Scene): RunningCli => {
  const options = ['--compression', 'zstd:22', '--force-level', '--chunk-size', '1MB', '--jobs', '2'];
  return startRun(['backup', 'cluster', cluster.uri('postgres'), '--output-dir', repository, ...options]);
};
