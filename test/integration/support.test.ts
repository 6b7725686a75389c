import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChild } from '../support/child.js';
import { rootDir } from '../support/cli.js';
import { type Cluster, startCluster, withCluster } from '../support/cluster.js';
import { withDatabase } from '../support/database.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { scramLogin, superuserLogin, tlsLogin, withoutConnectionEnv } from '../support/login.js';
import { isProcessRunning } from '../support/postmaster.js';
import { sharedCluster } from '../support/shared-cluster.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';

/** Connects with the stock psql by environment variables. */
const ask = (cluster: Cluster, env: Readonly<Record<string, string>>, sql: string) =>
  runChild(join(cluster.binDir, 'psql'), ['-XAtqw', '-c', sql], { env: { ...withoutConnectionEnv(process.env), ...env } });

describe('the shared cluster', () => {
  it('answers on its socket, by TCP with a password and by verified TLS', async () => {
    const cluster = await sharedCluster();
    assert.equal(await cluster.psql('postgres', 'SHOW server_encoding'), 'UTF8');
    const sql = "SELECT current_user || ' ' || coalesce((SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()), 'none')";
    assert.equal((await ask(cluster, cluster.env('postgres'), sql)).stdout, 'postgres false\n');
    assert.equal((await ask(cluster, cluster.env('postgres', tlsLogin), sql)).stdout, 'tls_user true\n');
    assert.match((await ask(cluster, cluster.env('postgres', scramLogin), sql)).stdout, /^scram_user /);
    const byUri = await runChild(join(cluster.binDir, 'psql'), ['-XAtqw', '-c', sql, cluster.uri('postgres', tlsLogin)], {
      env: withoutConnectionEnv(process.env),
    });
    assert.equal(byUri.stdout, 'tls_user true\n');
  });

  it('refuses a wrong password, and tls_user without TLS', async () => {
    const cluster = await sharedCluster();
    const wrong = await ask(cluster, cluster.env('postgres', { ...scramLogin, password: 'wrong' }), 'SELECT 1');
    assert.match(wrong.stderr, /password authentication failed/);
    const plain = await ask(cluster, { ...cluster.env('postgres', { ...tlsLogin, via: 'tcp' }), PGSSLMODE: 'disable' }, 'SELECT 1');
    assert.match(plain.stderr, /rejects connection/);
  });

  it('gives databases that are dropped again, also after a failure', async () => {
    const cluster = await sharedCluster();
    let used = '';
    await assert.rejects(
      withDatabase(cluster, async (database) => {
        used = database;
        await cluster.psql(database, 'CREATE TABLE t (); SELECT no_such_column');
      }),
      /no_such_column/,
    );
    assert.equal(await cluster.psql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${used}'`), '0');
  });
});

describe('a cluster of its own', () => {
  it('takes settings, checksums and authentication, and leaves nothing behind', async () => {
    await withTemporaryDirectory(async (baseDir) => {
      // The server’s user must be able to enter the directory.
      await runChild('chmod', ['0755', baseDir]);
      const cluster = await startCluster({
        baseDir,
        auth: 'scram-sha-256',
        hasDataChecksums: true,
        settings: { work_mem: '7MB', fsync: 'on' },
      });
      assert.ok(cluster.dataDir.startsWith(baseDir));
      assert.equal(await cluster.psql('postgres', 'SHOW work_mem; SHOW data_checksums; SHOW fsync'), '7MB\non\non');
      assert.equal((await ask(cluster, cluster.env('postgres', superuserLogin), 'SELECT 1')).stdout, '1\n');
      assert.notEqual((await ask(cluster, cluster.env('postgres', { via: 'tcp' }), 'SELECT 1')).status, 0);
      await Promise.all([cluster.stop(), cluster.stop()]);
      assert.equal(isProcessRunning(cluster.pid), false);
      assert.equal(existsSync(cluster.dataDir), false);
      assert.equal(existsSync(cluster.host), false);
    });
  });

  it('stops at once with sessions open', async () => {
    await withCluster(async (cluster) => {
      const session = ask(cluster, cluster.env('postgres'), 'SELECT pg_sleep(60)');
      while ((await cluster.psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")) === '0')
        await sleep(20);
      await cluster.stop({ mode: 'immediate' });
      assert.notEqual((await session).status, 0);
    });
  });

  const program = (end: string): string => `
    const { startCluster } = await import(${JSON.stringify(new URL('../support/cluster.js', import.meta.url).href)});
    const cluster = await startCluster();
    process.stdout.write(JSON.stringify({ pid: cluster.pid, host: cluster.host }));
    ${end}`;
  const ends: readonly (readonly [string, string, number])[] = [
    ['returns without stopping it', '', 0],
    ['calls process.exit', 'process.exit(3);', 3],
    ['fails', "setTimeout(() => { throw new Error('a test failed'); });", 1],
    ['is interrupted', "process.kill(process.pid, 'SIGINT'); setInterval(() => {}, 1000);", 130],
    ['is terminated', "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000);", 143],
    ['is killed', "process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000);", 137],
  ];
  for (const [title, end, status] of ends) {
    it(`ends with its process when that ${title}`, async () => {
      const outcome = await runChild(process.execPath, ['--input-type=module', '-e', program(end)], { cwd: rootDir });
      assert.equal(outcome.status, status, outcome.stderr);
      const { pid, host } = JSON.parse(outcome.stdout) as { pid: number; host: string };
      // Only a killed process cannot wait for the server, nor remove its directory.
      for (let tries = 0; status === 137 && isProcessRunning(pid) && tries < 250; tries += 1) await sleep(20);
      assert.equal(isProcessRunning(pid), false);
      if (status === 137) await runChild('rm', ['-rf', host]);
      assert.equal(existsSync(host), false);
    });
  }
});

describe('tableFingerprints', () => {
  const schema = `
    CREATE SCHEMA "odd ""schema
with a newline";
    CREATE TABLE "odd ""schema
with a newline"."t; $(touch x)" (h int, "rows" text, b bytea, at timestamptz, f float8);
    CREATE TABLE empty ();
    CREATE TABLE tree (id int, b bytea) PARTITION BY RANGE (id);
    CREATE TABLE tree_1 PARTITION OF tree FOR VALUES FROM (0) TO (100);
    CREATE TABLE tree_2 PARTITION OF tree FOR VALUES FROM (100) TO (200);
    CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM tree;`;
  const odd = '"odd ""schema\nwith a newline"."t; $(touch x)"';

  it('is equal for equal rows in another order, under other settings, and tells any other change', async () => {
    const cluster = await sharedCluster();
    await withDatabase(cluster, (one) =>
      withDatabase(cluster, async (two) => {
        await cluster.psql(
          two,
          `ALTER DATABASE "${two}" SET TimeZone = 'Asia/Kathmandu'; ALTER DATABASE "${two}" SET DateStyle = 'German'`,
        );
        const rows =
          "SELECT n, 'text ' || n, decode(md5(n::text), 'hex'), timestamptz '2026-01-01Z' + n * interval '1 day', n / 3.0 FROM generate_series(1, 500) n";
        for (const [database, order] of [
          [one, 'n'],
          [two, 'n DESC'],
        ] as const) {
          await cluster.psql(
            database,
            `${schema} INSERT INTO ${odd} ${rows} ORDER BY ${order}; INSERT INTO tree SELECT n, NULL FROM generate_series(0, 199) n ORDER BY ${order}`,
          );
        }
        const before = await tableFingerprints(cluster, one);
        assert.deepEqual([...before.keys()].sort(), [odd, 'public.empty', 'public.totals', 'public.tree_1', 'public.tree_2'].sort());
        assert.match(before.get(odd) ?? '', /^500 -?\d+ -?\d+$/);
        assert.match(before.get('public.empty') ?? '', /^0 0 0$/);
        assert.deepEqual(await tableFingerprints(cluster, two, { jobs: 1 }), before);

        const changes = [
          `UPDATE ${odd} SET b = b || '\\x00' WHERE h = 250`,
          `UPDATE ${odd} SET "rows" = NULL WHERE h = 1`,
          `INSERT INTO ${odd} SELECT * FROM ${odd} WHERE h = 2`,
        ];
        const seen = new Set([before.get(odd)]);
        for (const change of changes) {
          await cluster.psql(two, change);
          seen.add((await tableFingerprints(cluster, two)).get(odd));
        }
        assert.equal(seen.size, 1 + changes.length);
        await cluster.psql(two, "UPDATE tree SET b = '' WHERE id = 7");
        const after = await tableFingerprints(cluster, two);
        assert.notEqual(after.get('public.tree_1'), before.get('public.tree_1'));
        assert.equal(after.get('public.tree_2'), before.get('public.tree_2'));
      }),
    );
  });
});
