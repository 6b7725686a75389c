import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { runChild, runChildOrThrow } from '../support/child.js';
import { cliPath } from '../support/cli.js';
import { toCluster } from '../support/cluster.js';
import { superuserLogin, tlsLogin } from '../support/login.js';
import { withProxy } from '../support/proxy.js';
import { expectFailure, expectSuccess, readFailure } from './support/failure.js';
import { expectFailedRun, expectNoSessions } from './support/leftovers.js';
import { startRun } from './support/running.js';
import { withScene } from './support/scene.js';
import { slowTableSql, startSlowBackup, waitForSession } from './support/slow.js';

const mebibyte = 1024 ** 2;

describe('--timeout', () => {
  it('ends a backup that takes longer, cleanly', async () => {
    await withScene(slowTableSql, async ({ cluster, database, repository }) => {
      const run = startSlowBackup(cluster.uri(database), repository, '--timeout', '3s');
      expectFailure(await run.outcome, {
        status: 1,
        code: 'timeout',
        message: new RegExp(`^database ${database} was not saved within 3\\.0 s$`),
        hint: /--timeout/,
      });
      await expectFailedRun(repository);
      await expectNoSessions(cluster, database);
    });
  });
});

describe('a task from which nothing comes', () => {
  for (const [title, login] of [
    ['plain', superuserLogin],
    ['TLS', tlsLogin],
  ] as const) {
    it(`is given up and tried again where its rows are lost on the way (${title})`, async () => {
      await withScene(slowTableSql, async ({ cluster, database, repository }) => {
        const chooseFault = (connection: number) => (connection < 4 ? ({ kind: 'hold', afterBytes: 3 * mebibyte } as const) : null);
        await withProxy(cluster.port, { chooseFault }, async (proxy) => {
          const through = toCluster({ ...cluster, port: proxy.port }).uri(database, login);
          const args = ['--jobs', '2', '--stall-timeout', '3s', '--chunk-size', '64MB'];
          const run = startRun(['backup', 'single', through, '--output-dir', repository, ...args]);
          expectSuccess(await run.outcome);
          assert.ok(proxy.faultCount > 0);
          const notices = run.events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
          // The buffers on the way may have taken all the rest.
          assert.match(
            notices.join('\n'),
            /^public\.slow.*: no progress for 3\.0 s, (nothing that its server process sends arrives|its server process is idle in transaction); its connection is cut$/m,
          );
          assert.ok(run.events.some((event) => event.type === 'chunk.retried' && event.code === 'connection_lost'));
        });
      });
    });
  }

  it('is left alone while its server process is at work', async () => {
    const busySql = `CREATE TABLE busy (id int, v text); INSERT INTO busy SELECT i, 'row' FROM generate_series(1, 10) i; CREATE EXTENSION hstore;
      CREATE SCHEMA ext; CREATE FUNCTION ext.slow_out(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(9); RETURN $1; END $$;`;
    await withScene(busySql, async ({ cluster, database, repository }) => {
      // A configuration table's condition runs in the middle of its COPY.
      await cluster.psql(
        database,
        `ALTER EXTENSION hstore ADD TABLE busy; UPDATE pg_extension SET extconfig = ARRAY['busy'::regclass::oid], extcondition = ARRAY['WHERE ext.slow_out(1) = 1 AND id < 2'] WHERE extname = 'hstore'`,
      );
      const run = startRun(['backup', 'single', cluster.uri(database), '--output-dir', repository, '--stall-timeout', '2s']);
      await waitForSession(cluster, `datname = '${database}' AND wait_event = 'PgSleep'`);
      expectSuccess(await run.outcome);
      assert.deepEqual(
        run.events.filter((event) => event.type === 'chunk.retried' || event.type === 'notice'),
        [],
      );
    });
  });
});

const canMakeNetworks = async (): Promise<string | false> => {
  if (process.getuid?.() !== 0) return 'a network of its own needs root';
  const { status, stderr } = await runChild('ip', ['netns', 'list']).catch((error: Error) => ({ status: 1, stderr: error.message }));
  return status === 0 ? false : `ip netns: ${stderr}`;
};

describe('a server that falls silent', { skip: await canMakeNetworks() }, () => {
  it('is noticed within a minute, though nothing ever says that it is gone', { timeout: 180_000 }, async () => {
    await withScene(slowTableSql, async ({ cluster, database, repository }) => {
      const name = `dbb${randomInt(100_000)}`;
      const network = `10.${randomInt(100, 200)}.${randomInt(0, 250)}`;
      const ip = (...args: readonly string[]): Promise<string> => runChildOrThrow('ip', args);
      await ip('netns', 'add', name);
      try {
        await ip('link', 'add', `${name}h`, 'type', 'veth', 'peer', 'name', `${name}n`);
        await ip('link', 'set', `${name}n`, 'netns', name);
        await ip('addr', 'add', `${network}.1/24`, 'dev', `${name}h`);
        await ip('link', 'set', `${name}h`, 'up');
        await ip('-n', name, 'addr', 'add', `${network}.2/24`, 'dev', `${name}n`);
        await ip('-n', name, 'link', 'set', `${name}n`, 'up');
        await withProxy(cluster.port, { chooseFault: () => null, host: `${network}.1` }, async (proxy) => {
          const uri = `postgresql://postgres@${network}.1:${proxy.port}/${database}?password=${superuserLogin.password}`;
          const startedMs = { silent: 0 };
          const args = [
            'backup',
            'single',
            uri,
            '--output-dir',
            repository,
            '--jobs',
            '2',
            '--compression',
            'zstd:19',
            '--force-level',
            '--quiet',
          ];
          const outcome = runChild('ip', ['netns', 'exec', name, process.execPath, cliPath, ...args, '--chunk-size', '64MB']);
          await waitForSession(cluster, `datname = '${database}' AND state = 'active' AND query LIKE 'COPY %'`);
          // Packets vanish from here on; no side is told.
          await ip('link', 'set', `${name}h`, 'down');
          startedMs.silent = performance.now();
          const { status, stderr } = await outcome;
          assert.equal(status, 1, stderr);
          // Whoever notices first: a worker, or the keeper, with whose connection the snapshot is gone.
          const { code, message } = readFailure(stderr);
          assert.ok(code === 'connection_lost' || code === 'snapshot_invalid', stderr);
          assert.match(message, /timed out|lost|ended/i);
          const elapsedMs = performance.now() - startedMs.silent;
          assert.ok(elapsedMs < 75_000, `${elapsedMs} ms`);
        });
      } finally {
        await runChild('ip', ['link', 'del', `${name}h`]);
        await ip('netns', 'del', name);
      }
    });
  });

  it('is not waited for when it does not answer a connection', async () => {
    await withScene(slowTableSql, async ({ database, repository }) => {
      // Of the addresses set aside for documentation: nobody answers, or the network says so at once.
      const startedMs = performance.now();
      const run = startRun(['backup', 'single', `postgresql://postgres@192.0.2.1/${database}`, '--output-dir', repository]);
      expectFailure(await run.outcome, { status: 1, code: 'connection_failed', message: /192\.0\.2\.1/ });
      assert.ok(performance.now() - startedMs < 45_000);
    });
  });
});
