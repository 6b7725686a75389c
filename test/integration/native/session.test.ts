import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DbbackupError } from '#src/core/errors.js';
import { openSession } from '#src/native/session.js';
import { withDatabase } from '../../support/database.js';
import { scramLogin, tlsLogin } from '../../support/login.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { connectionTo, withSession } from './connections.js';

/** Waits until a server process sleeps in `pg_sleep`. */
const untilSleeping = async (backendPid: number): Promise<void> => {
  const cluster = await sharedCluster();
  const sql = `SELECT wait_event FROM pg_stat_activity WHERE pid = ${backendPid}`;
  while ((await cluster.psql('postgres', sql)) !== 'PgSleep') await sleep(20);
};

/** Milliseconds until `promise` is rejected with `cancelled`. */
const measureCancel = async (promise: Promise<unknown>): Promise<number> => {
  const startedAt = performance.now();
  await assert.rejects(promise, { code: 'cancelled' });
  return performance.now() - startedAt;
};

describe('Session.query', () => {
  it('gives columns, rows, NULLs and the command tag', async () => {
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres'), async (session) => {
      assert.deepEqual(await session.query("SELECT 1 AS one, NULL AS nothing, '' AS empty, 'ä€😀' AS text"), {
        columns: ['one', 'nothing', 'empty', 'text'],
        rows: [['1', null, '', 'ä€😀']],
        command: 'SELECT 1',
      });
      assert.deepEqual(await session.query('SELECT'), { columns: [], rows: [[]], command: 'SELECT 1' });
      assert.deepEqual(await session.query('SELECT 1 AS one WHERE false'), { columns: ['one'], rows: [], command: 'SELECT 0' });
      assert.deepEqual(await session.query(''), { columns: [], rows: [], command: '' });
    });
  });

  it('passes parameters, NULL among them, without quoting', async () => {
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres'), async (session) => {
      const text = `'; DROP TABLE "x"; -- \\ \n ä`;
      const { rows } = await session.query('SELECT $1::text, $2::text, $3::int + 1, $4::text IS NULL', [text, '', '41', null]);
      assert.deepEqual(rows, [[text, '', '42', 't']]);
      await assert.rejects(session.query('SELECT 1; SELECT $1', ['x']), { code: 'server_error' });
    });
  });

  it('runs several statements and gives the last result', async () => {
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres'), async (session) => {
      assert.deepEqual((await session.query('SELECT 1; SELECT 2, 3')).rows, [['2', '3']]);
      assert.equal((await session.query('SELECT 1; SET TimeZone = UTC')).command, 'SET');
      await assert.rejects(session.query('CREATE TEMP TABLE t (); SELECT 1/0'), { code: 'server_error' });
      assert.deepEqual((await session.query("SELECT to_regclass('pg_temp.t')")).rows, [[null]]);
    });
  });

  it('runs queries in the order of their calls', async () => {
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres'), async (session) => {
      await session.query('CREATE TEMP SEQUENCE s');
      const results = await Promise.all(Array.from({ length: 200 }, () => session.query("SELECT nextval('s')")));
      assert.deepEqual(
        results.map(({ rows }) => rows[0]?.[0]),
        Array.from({ length: 200 }, (_, index) => String(index + 1)),
      );
    });
  });

  it('carries a large result', async () => {
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres'), async (session) => {
      const { rows } = await session.query("SELECT n, repeat('y', 100) FROM generate_series(1, 50000) n");
      assert.equal(rows.length, 50000);
      assert.deepEqual(rows.at(-1), ['50000', 'y'.repeat(100)]);
    });
  });

  it('rejects with the fields of the server’s error and goes on working', async () => {
    const cluster = await sharedCluster();
    await withDatabase(cluster, async (database) => {
      await cluster.psql(
        database,
        'CREATE SCHEMA s; CREATE TABLE s.orders (id int PRIMARY KEY, note text); INSERT INTO s.orders VALUES (7)',
      );
      await withSession(connectionTo(cluster, database), async (session) => {
        await assert.rejects(session.query('INSERT INTO s.orders VALUES (7)'), (error: DbbackupError) => {
          assert.equal(error.code, 'server_error');
          assert.equal(error.name, 'DbbackupError');
          assert.equal(error.details.severity, 'ERROR');
          assert.equal(error.details.sqlstate, '23505');
          assert.equal(error.details.schema, 's');
          assert.equal(error.details.table, 'orders');
          assert.equal(error.details.detail, 'Key (id)=(7) already exists.');
          return true;
        });
        await assert.rejects(session.query('SELECT nott FROM s.orders'), (error: DbbackupError) => {
          assert.equal(error.details.sqlstate, '42703');
          assert.equal(error.details.position, '8');
          assert.match(error.details.hint ?? '', /orders\.note/);
          return true;
        });
        await assert.rejects(session.query('COPY s.orders TO STDOUT'), { code: 'protocol_violation' });
      });
      await withSession(connectionTo(cluster, database, scramLogin), async (session) => {
        await assert.rejects(session.query('DELETE FROM s.orders'), { code: 'permission_denied' });
        assert.deepEqual((await session.query('SELECT count(*) FROM pg_class WHERE false')).rows, [['0']]);
      });
    });
  });

  it('keeps notices until they are asked for, at most 100', async () => {
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres'), async (session) => {
      assert.deepEqual(session.notices(), []);
      await session.query("DO $$ BEGIN RAISE NOTICE 'first'; RAISE WARNING 'second'; END $$");
      assert.deepEqual(session.notices(), ['NOTICE:  first', 'WARNING:  second']);
      assert.deepEqual(session.notices(), []);
      for (let round = 0; round < 3; round += 1)
        await session.query("DO $$ BEGIN FOR i IN 1..90 LOOP RAISE NOTICE '%', i; END LOOP; END $$");
      assert.equal(session.notices().length, 100);
    });
  });

  it('says so when the server goes away', async () => {
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres'), async (session) => {
      await cluster.psql('postgres', `SELECT pg_terminate_backend(${session.info().backendPid})`);
      await assert.rejects(session.query('SELECT 1'), (error: DbbackupError) => ['connection_lost', 'server_error'].includes(error.code));
      await assert.rejects(session.query('SELECT 1'), { code: 'connection_lost' });
    });
  });
});

describe('Session.stop and close', () => {
  it('rejects a running query and all after it within two seconds', async () => {
    const cluster = await sharedCluster();
    const session = await openSession(connectionTo(cluster, 'postgres'));
    const { backendPid } = session.info();
    const running = session.query('SELECT pg_sleep(60)');
    const queued = assert.rejects(session.query('SELECT 1'), { code: 'cancelled' });
    await untilSleeping(backendPid);
    session.stop();
    assert.ok((await measureCancel(running)) < 2000);
    await queued;
    await assert.rejects(session.query('SELECT 1'), { code: 'cancelled' });
    await session.close();
    await assert.rejects(session.query('SELECT 1'), { code: 'cancelled' });
    // The server has stopped too.
    while ((await cluster.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE pid = ${backendPid}`)) !== '0') await sleep(20);
  });

  it('close ends a running query, without blocking the event loop, and may be called again', async () => {
    const cluster = await sharedCluster();
    const session = await openSession(connectionTo(cluster, 'postgres'));
    const running = session.query('SELECT pg_sleep(60)');
    await untilSleeping(session.info().backendPid);
    const startedAt = performance.now();
    const closed = Promise.all([session.close(), session.close(), assert.rejects(running, { code: 'cancelled' })]);
    assert.ok(performance.now() - startedAt < 500, 'close() returns at once');
    await closed;
    await session.close();
    assert.ok(performance.now() - startedAt < 2000);
    assert.equal(session.info().database, 'postgres');
  });

  it('an aborted signal stops the session; its errors are cancelled; close removes the listener', async () => {
    const cluster = await sharedCluster();
    const controller = new AbortController();
    const { signal } = controller;
    const listeners = { added: 0, removed: 0 };
    const { addEventListener, removeEventListener } = signal;
    Object.assign(signal, {
      addEventListener: (...args: Parameters<typeof addEventListener>) => {
        listeners.added += 1;
        addEventListener.apply(signal, args);
      },
      removeEventListener: (...args: Parameters<typeof removeEventListener>) => {
        listeners.removed += 1;
        removeEventListener.apply(signal, args);
      },
    });
    const session = await openSession(connectionTo(cluster, 'postgres'), { signal });
    const running = session.query('SELECT pg_sleep(60)');
    await untilSleeping(session.info().backendPid);
    controller.abort();
    assert.ok((await measureCancel(running)) < 2000);
    await session.close();
    assert.deepEqual(listeners, { added: 1, removed: 1 });
    await assert.rejects(openSession(connectionTo(cluster, 'postgres'), { signal }), { code: 'cancelled' });
  });
});

describe('openSession', () => {
  it('tells what it is connected to, without secrets', async () => {
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres', scramLogin), async (session) => {
      const info = session.info();
      assert.equal(Math.floor(info.serverVersion / 10000), cluster.version);
      assert.equal(info.host, '127.0.0.1');
      assert.equal(info.port, String(cluster.port));
      assert.equal(info.user, 'scram_user');
      assert.equal(info.database, 'postgres');
      assert.equal(info.clientEncoding, 'UTF8');
      assert.equal(info.hasPassword, true);
      assert.equal(info.options['user'], 'scram_user');
      assert.ok(!JSON.stringify(info).includes(scramLogin.password));
      assert.equal(session.password(), scramLogin.password);
      assert.deepEqual((await session.query('SELECT pg_backend_pid()')).rows, [[String(info.backendPid)]]);
    });
    await withSession(connectionTo(cluster, 'postgres'), async (session) => {
      assert.equal(session.info().hasPassword, false);
      assert.equal(session.password(), null);
    });
  });

  it('takes a URI and a keyword string as dbname', async () => {
    const cluster = await sharedCluster();
    for (const dbname of [
      cluster.uri('template1', scramLogin),
      `host=${cluster.host} port=${cluster.port} dbname=template1 user=postgres`,
    ]) {
      await withSession({ keywords: ['dbname'], values: [dbname] }, async (session) => assert.equal(session.info().database, 'template1'));
    }
  });

  it('verifies the server’s certificate', async () => {
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres', tlsLogin), async (session) => {
      assert.equal(session.info().isTls, true);
      assert.equal(session.info().options['sslmode'], 'verify-full');
      assert.deepEqual((await session.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows, [['t']]);
    });
    // The certificate is for localhost, and no public authority has signed it.
    const { keywords, values } = connectionTo(cluster, 'postgres', tlsLogin);
    const replace = (keyword: string, value: string) => ({
      keywords: [...keywords, 'hostaddr'],
      values: [...values.map((old, index) => (keywords[index] === keyword ? value : old)), '127.0.0.1'],
    });
    await assert.rejects(openSession(replace('host', 'db.invalid')), { code: 'connection_failed', message: /certificate/ });
    await assert.rejects(openSession(replace('sslrootcert', '/etc/ssl/certs/ca-certificates.crt')), { code: 'connection_failed' });
  });

  it('tells why a connection fails', async () => {
    const cluster = await sharedCluster();
    const rejects = (connection: ReturnType<typeof connectionTo>, code: string) =>
      assert.rejects(openSession(connection), (error: DbbackupError) => {
        assert.equal(error.code, code, error.message);
        assert.ok(!error.message.includes('wrong-secret'));
        return true;
      });
    await rejects(connectionTo(cluster, 'no_such_database'), 'database_not_found');
    await rejects(connectionTo(cluster, 'postgres', { user: 'no_such_role' }), 'authentication_failed');
    await rejects(connectionTo(cluster, 'postgres', { ...scramLogin, password: 'wrong-secret' }), 'authentication_failed');
    await rejects({ keywords: ['host', 'port', 'dbname'], values: ['127.0.0.1', '1', 'x'] }, 'connection_failed');
    await rejects({ keywords: ['host', 'dbname'], values: ['/nonexistent', 'x'] }, 'connection_failed');
    await rejects({ keywords: ['no_such_option'], values: ['x'] }, 'connection_failed');
  });

  it('ends an attempt that nobody answers, on an abort and after connect_timeout', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    const connection = { keywords: ['host', 'port', 'connect_timeout'], values: ['127.0.0.1', String(port), '2'] };
    const controller = new AbortController();
    const aborted = openSession(connection, { signal: controller.signal });
    setTimeout(() => controller.abort(), 200);
    assert.ok((await measureCancel(aborted)) < 1500);
    await assert.rejects(openSession(connection), { code: 'connection_failed', message: /connect_timeout/ });
    silent.close();
  });

  it('opens many at once', async () => {
    const cluster = await sharedCluster();
    const sessions = await Promise.all(Array.from({ length: 20 }, () => openSession(connectionTo(cluster, 'postgres', tlsLogin))));
    const pids = await Promise.all(sessions.map(async (session) => (await session.query('SELECT pg_backend_pid()')).rows[0]?.[0]));
    assert.equal(new Set(pids).size, 20);
    await Promise.all(sessions.map((session) => session.close()));
  });
});
