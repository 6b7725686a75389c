import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { deleteBackup, list, listKeepers, stopKeepers, verify } from '#src/index.js';
import type { Cluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { expectSuccess, readFailure } from './support/failure.js';
import { expectFailedRun, expectNoSessions, listFiles } from './support/leftovers.js';
import { type RunningCli, startRun } from './support/running.js';
import { withScene } from './support/scene.js';
import {
  napSql,
  slowTableSql,
  startSlowBackup,
  waitForBlocked,
  waitForSession,
  waitForSleep,
  waitUntilEqual,
  withTransaction,
} from './support/slow.js';

const limitMs = 2000;
const statuses = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type EndSignal = keyof typeof statuses;

/** Asserts that a run ends by a signal within the promised time, says so, and tells its Events to the end. */
const expectCleanEnd = async (run: RunningCli, signal: EndSignal): Promise<void> => {
  const { status, stderr, elapsedMs } = await run.end(signal);
  assert.equal(status, statuses[signal], stderr);
  assert.ok(elapsedMs < limitMs, `${elapsedMs} ms`);
  const failure = readFailure(stderr);
  assert.equal(failure.code, 'cancelled', stderr);
  assert.match(failure.message, new RegExp(`cancelled by ${signal}`));
  const last = run.events.at(-1);
  assert.ok(last?.type === 'run.failed' && last.code === 'cancelled', JSON.stringify(last));
};

interface Stage {
  readonly title: string;
  readonly signal: EndSignal;
  /** Runs `fn` when the backup has come to this stage and stays there. */
  reach(run: () => RunningCli, cluster: Cluster, database: string, fn: (run: RunningCli) => Promise<void>): Promise<void>;
}

const blockedBy =
  (sql: string): Stage['reach'] =>
  (run, cluster, database, fn) =>
    withTransaction(cluster, database, sql, async () => {
      const running = run();
      await waitForBlocked(cluster, database);
      await fn(running);
    });
const at =
  (event: Parameters<RunningCli['waitFor']>[0], delayMs = 0): Stage['reach'] =>
  async (run, _cluster, _database, fn) => {
    const running = run();
    await running.waitFor(event);
    await sleep(delayMs);
    await fn(running);
  };

const backupStages: readonly Stage[] = [
  { title: 'when it has begun', signal: 'SIGTERM', reach: at('backup.started') },
  { title: 'while it waits for the lock on a table', signal: 'SIGINT', reach: blockedBy('LOCK TABLE slow IN ACCESS EXCLUSIVE MODE') },
  { title: 'while it waits for a sequence', signal: 'SIGTERM', reach: blockedBy('ALTER SEQUENCE numbers RENAME TO renamed') },
  // pg_dump asks the server for a view's text, for which the server locks it; dbbackup itself does not.
  { title: 'while pg_dump runs', signal: 'SIGINT', reach: blockedBy('ALTER VIEW seen SET (security_barrier)') },
  { title: 'while pg_dump runs', signal: 'SIGTERM', reach: blockedBy('ALTER VIEW seen SET (security_barrier)') },
  { title: 'when the plan is ready', signal: 'SIGHUP', reach: at('plan.ready') },
  { title: 'while chunks are read', signal: 'SIGTERM', reach: at('chunk.started', 300) },
  {
    title: 'when chunks have been stored',
    signal: 'SIGINT',
    reach: at((event) => event.type === 'chunk.finished' && event.name.includes('slow')),
  },
];

const backupSql = `${slowTableSql}
CREATE TABLE other AS SELECT i AS id FROM generate_series(1, 100) i;
CREATE SEQUENCE numbers; CREATE VIEW seen AS SELECT * FROM other;`;

describe('a signal during a backup', () => {
  it('while it connects ends it', async () => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await withTemporaryDirectory(async (base) => {
        const address = server.address();
        assert.ok(address !== null && typeof address === 'object');
        const run = startRun([
          'backup',
          'single',
          `postgresql://postgres@127.0.0.1:${address.port}/x`,
          '--output-dir',
          join(base, 'repository'),
        ]);
        while (sockets.size === 0) await sleep(10);
        await expectCleanEnd(run, 'SIGINT');
        assert.deepEqual(await listFiles(base), []);
      });
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  it('ends it cleanly and promptly, wherever it is, and leaves an unfinished run that can be deleted', async () => {
    await withScene(backupSql, async ({ cluster, database, repository }) => {
      for (const { title, signal, reach } of backupStages) {
        const run = (): RunningCli => startSlowBackup(cluster.uri(database), repository);
        await reach(run, cluster, database, async (running) => {
          await expectCleanEnd(running, signal).catch((error: unknown) => {
            throw new Error(`${signal} ${title}`, { cause: error });
          });
          await expectFailedRun(repository);
        });
        await expectNoSessions(cluster, database);
      }
    });
  });

  it('twice ends it at once, and SIGKILL leaves nothing but an unfinished run', async () => {
    await withScene(backupSql, async ({ cluster, database, repository, backUp }) => {
      const start = async (): Promise<RunningCli> => {
        const run = startSlowBackup(cluster.uri(database), repository);
        await run.waitFor('chunk.finished');
        return run;
      };
      const twice = await start();
      const first = twice.end('SIGINT');
      const { status, elapsedMs } = await twice.end('SIGINT');
      assert.equal(status, 130);
      assert.ok(elapsedMs < limitMs);
      await first;

      const killed = await start();
      assert.deepEqual((await list({ outputDir: repository, isUnfinished: true })).backups.map(({ isRunning }) => isRunning).sort(), [
        false,
        true,
      ]);
      assert.equal((await killed.end('SIGKILL')).status, 137);
      const { backups } = await list({ outputDir: repository, isUnfinished: true });
      assert.deepEqual(
        backups.map(({ state, isRunning }) => ({ state, isRunning })),
        Array(2).fill({ state: 'unfinished', isRunning: false }),
      );
      assert.deepEqual((await list({ outputDir: repository })).backups, []);

      // What a run that was killed held is kept for a while, so that it can be continued.
      for (const { id } of (await listKeepers()).keepers.filter((keeper) => keeper.database === database)) await stopKeepers({ id });

      // The next run does not mind them, and they go without it.
      const id = await backUp(['--jobs', '2']);
      for (const unfinished of backups) await deleteBackup({ id: unfinished.id, outputDir: repository, isConfirmed: true });
      assert.deepEqual(
        (await listFiles(repository)).filter((path) => !path.startsWith(id)),
        ['dbbackup-repository.json'],
      );
      assert.deepEqual((await verify({ id, outputDir: repository })).damage, []);
      await expectNoSessions(cluster, database);
    });
  });
});

const restoreStages: readonly (readonly [phase: string, signal: EndSignal, sql: string])[] = [
  ['data', 'SIGINT', 'CREATE TABLE t (id int CHECK (public.nap(id))); INSERT INTO t VALUES (1);'],
  ['data', 'SIGTERM', 'CREATE TABLE t (id int CHECK (public.nap(id))); INSERT INTO t VALUES (1);'],
  ['post-data', 'SIGINT', 'CREATE TABLE t (id int); INSERT INTO t VALUES (1); CREATE INDEX ON t (public.nap(id));'],
  ['post-data', 'SIGTERM', 'CREATE TABLE t (id int); INSERT INTO t VALUES (1); CREATE INDEX ON t (public.nap(id));'],
  ['finish', 'SIGTERM', 'CREATE MATERIALIZED VIEW v AS SELECT public.nap(1);'],
];

describe('a signal during a restore', () => {
  for (const [phase, signal, sql] of restoreStages) {
    it(`${signal} in the phase ${phase} ends it cleanly and promptly`, async () => {
      await withScene(`${napSql} ${sql}`, async ({ cluster, repository, backUp }) => {
        const id = await backUp();
        const before = await listFiles(repository);
        const target = uniqueDatabaseName('nap');
        try {
          const run = startRun(['restore', 'single', id, '--target-db', cluster.uri(target), '--create', '--output-dir', repository]);
          await run.waitFor((event) => event.type === 'phase.started' && event.phase === phase);
          await waitForSleep(cluster, target);
          await expectCleanEnd(run, signal);
          await expectNoSessions(cluster, target);
          assert.deepEqual(await listFiles(repository), before);
        } finally {
          await cluster.dropDatabase(target);
        }
      });
    });
  }

  it('SIGINT while pg_restore writes definitions ends it cleanly and promptly', async () => {
    await withScene("CREATE TABLE t (id int); COMMENT ON TABLE t IS 'commented'", async ({ cluster, repository, backUp }) => {
      const id = await backUp();
      const target = uniqueDatabaseName('blocked');
      await cluster.createDatabase(target);
      try {
        await withTransaction(cluster, target, 'LOCK TABLE pg_catalog.pg_description IN SHARE MODE', async () => {
          const run = startRun(['restore', 'single', id, '--target-db', cluster.uri(target), '--output-dir', repository]);
          await waitForBlocked(cluster, target);
          await expectCleanEnd(run, 'SIGINT');
        });
        await expectNoSessions(cluster, target);
      } finally {
        await cluster.dropDatabase(target);
      }
    });
  });

  it('SIGINT while the old database of --clean waits to be dropped leaves it, and no other', async () => {
    await withScene('CREATE TABLE kept AS SELECT 1 AS id', async ({ cluster, database, repository, backUp }) => {
      const id = await backUp();
      // A comment locks the database as an object; a session in it would be refused at once.
      await withTransaction(cluster, 'postgres', `COMMENT ON DATABASE ${database} IS 'held'`, async () => {
        const run = startRun([
          'restore',
          'single',
          id,
          '--target-db',
          cluster.uri(database),
          '--clean',
          '--yes',
          '--output-dir',
          repository,
        ]);
        await waitForSession(cluster, `query LIKE 'DROP DATABASE%${database}%' AND application_name = 'dbbackup'`);
        await expectCleanEnd(run, 'SIGINT');
      });
      assert.equal(await cluster.psql(database, 'SELECT count(*) FROM kept'), '1');
      // Other tests' own are there for a moment.
      await waitUntilEqual(() => cluster.psql('postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE 'dbbackup\\_new\\_%'"), '0');
    });
  });

  it('does not keep the next restore from the same target with --clean', async () => {
    await withScene(
      `${napSql} CREATE TABLE t (id int CHECK (public.nap(id))); INSERT INTO t VALUES (1);`,
      async ({ cluster, repository, backUp, run }) => {
        const id = await backUp();
        const target = uniqueDatabaseName('nap');
        try {
          const first = startRun(['restore', 'single', id, '--target-db', cluster.uri(target), '--create', '--output-dir', repository]);
          await first.waitFor('chunk.started');
          await expectCleanEnd(first, 'SIGINT');
          await expectNoSessions(cluster, target);
          await cluster.psql('postgres', `ALTER DATABASE ${target} RENAME TO awake_${target}`);
          expectSuccess(await run(['restore', 'single', id, '--target-db', cluster.uri(`awake_${target}`), '--clean', '--yes', '--check']));
        } finally {
          for (const name of [target, `awake_${target}`]) await cluster.dropDatabase(name);
        }
      },
    );
  });
});
