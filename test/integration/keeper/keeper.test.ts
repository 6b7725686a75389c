import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { attachKeeper, startKeeper } from '#src/keeper/keeper.js';
import { runChild } from '../../support/child.js';
import { rootDir } from '../../support/cli.js';
import { isErrorWith } from '../../support/errors.js';
import { scramLogin, tlsLogin } from '../../support/login.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { ask, isAlive, toStart, waitForEnd, withKeeper } from './support.js';

const cluster = await sharedCluster();

const countSessions = async (backendPid: number): Promise<string> =>
  cluster.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE pid = ${backendPid}`);

describe('a keeper', () => {
  it('answers queries as a session does', async () => {
    await withKeeper(toStart(cluster), async ({ session }) => {
      const { columns, rows, command } = await session.query('SELECT 1 AS one, NULL AS nothing, \'é\' AS "Ä"');
      assert.deepEqual({ columns, rows, command }, { columns: ['one', 'nothing', 'Ä'], rows: [['1', null, 'é']], command: 'SELECT 1' });
      assert.deepEqual((await session.query('SELECT $1::text, $2::int', ["a'b", null])).rows, [["a'b", null]]);
      assert.deepEqual((await session.query('SELECT WHERE false')).rows, []);
      // Of several statements the last one's result is given, as the other session does.
      assert.deepEqual((await session.query('SELECT 1; SELECT 2 AS two; ')).rows, [['2']]);
      assert.deepEqual(await session.query('SELECT 1; BEGIN; COMMIT'), { columns: [], rows: [], command: 'COMMIT' });
      const answers = await Promise.all([1, 2, 3].map((value) => session.query('SELECT $1::int', [String(value)])));
      assert.deepEqual(
        answers.map((answer) => answer.rows[0]?.[0]),
        ['1', '2', '3'],
      );
    });
  });

  it('tells errors of the server with all their fields and goes on', async () => {
    await withKeeper(toStart(cluster), async ({ session }) => {
      await assert.rejects(session.query('SELECT 1; SELEC'), (error: Error & { code?: string; details?: Record<string, unknown> }) => {
        assert.equal(error.code, 'server_error');
        assert.match(error.message, /syntax error at or near "SELEC"/);
        assert.deepEqual({ ...error.details }, { severity: 'ERROR', sqlstate: '42601', position: '11' });
        return true;
      });
      await assert.rejects(
        session.query(
          "DO $$ BEGIN RAISE EXCEPTION 'no' USING DETAIL = 'd', HINT = 'h', SCHEMA = 's', TABLE = 't', ERRCODE = '42501'; END $$",
        ),
        (error: Error & { code?: string; details?: Record<string, unknown> }) => {
          assert.equal(error.code, 'permission_denied');
          const { detail, hint, schema, table } = error.details ?? {};
          assert.deepEqual({ detail, hint, schema, table }, { detail: 'd', hint: 'h', schema: 's', table: 't' });
          return true;
        },
      );
      // Rows that came before the error are no result.
      await assert.rejects(
        session.query('SELECT 1 / (3 - n) FROM generate_series(1, 5) n'),
        isErrorWith('server_error', /division by zero/),
      );
      await assert.rejects(session.query('COPY (SELECT 1) TO STDOUT'), isErrorWith('protocol_violation', /COPY/));
    });
  });

  it('passes millions of rows without holding them', async () => {
    await withKeeper(toStart(cluster), async ({ session, info }) => {
      const { rows } = await session.query("SELECT n, repeat('x', 100) FROM generate_series(1, 300000) n");
      assert.equal(rows.length, 300_000);
      assert.deepEqual(rows[299_999], ['300000', 'x'.repeat(100)]);
      const status = await readFile(`/proc/${info.pid}/status`, 'latin1');
      assert.ok(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) < 15 * 1024, status);
    });
  });

  it('names its run to the server, and lets only its user connect', async () => {
    const start = toStart(cluster);
    await withKeeper(start, async (keeper) => {
      const { info } = keeper;
      assert.equal(await ask(keeper, 'SELECT pg_backend_pid()'), String(info.backendPid));
      assert.match(info.backendStart, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      assert.equal((await stat(info.socketPath)).mode & 0o077, 0);
      assert.equal((await stat(dirname(info.socketPath))).mode & 0o777, 0o700);
      assert.equal((await readFile(`/proc/${info.pid}/cmdline`, 'latin1')).split('\0').slice(1).join(), `${start.id},`);
    });
  });

  it('serves one client at a time', async () => {
    const start = toStart(cluster);
    await withKeeper(start, async (keeper) => {
      await assert.rejects(attachKeeper(start), isErrorWith('locked', new RegExp(`serves process ${process.pid} already`)));
      await assert.rejects(startKeeper(start), isErrorWith('locked', /already/));
      assert.equal(await ask(keeper, 'SELECT 1'), '1');
    });
    assert.equal(await attachKeeper(start), null);
  });

  it('ends when it is stopped, also in the middle of a query', async () => {
    const keeper = await startKeeper(toStart(cluster));
    const waiting = keeper.session.query('SELECT pg_sleep(600)');
    waiting.catch(() => undefined);
    await sleep(100);
    await keeper.stop();
    await assert.rejects(waiting, isErrorWith('connection_lost', /keeper has ended/));
    await waitForEnd(keeper.info.pid);
    assert.equal(existsSync(keeper.info.socketPath), false);
    assert.equal(await countSessions(keeper.info.backendPid), '0');
    await keeper.stop();
    await assert.rejects(keeper.session.query('SELECT 1'), isErrorWith('connection_lost', /keeper has ended/));
  });

  it('survives kill -9 of its starter with transaction and snapshot, for whoever attaches next', async () => {
    const start = toStart(cluster);
    const program = `
      const { startKeeper } = await import('#src/keeper/keeper.js');
      const keeper = await startKeeper(${JSON.stringify(start)});
      await keeper.session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const { rows } = await keeper.session.query('SELECT pg_export_snapshot(), transaction_timestamp()');
      await keeper.hold('');
      console.log(JSON.stringify({ pid: keeper.info.pid, backendStart: keeper.info.backendStart, row: rows[0] }));
      keeper.session.query('SELECT pg_sleep(1)');
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200);
    `;
    const { status, stdout } = await runChild(process.execPath, ['--input-type=module', '-e', program], { cwd: rootDir });
    assert.equal(status, 137);
    const told = JSON.parse(stdout);
    assert.equal(await isAlive(told.pid), true);
    const keeper = await attachKeeper(start);
    assert.ok(keeper !== null);
    try {
      assert.equal(keeper.info.pid, told.pid);
      assert.equal(keeper.info.backendStart, told.backendStart);
      // The query of the client that died is run to its end first.
      assert.equal(await ask(keeper, 'SELECT transaction_timestamp()'), told.row[1]);
      const imported = `BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '${told.row[0]}'; SELECT 'imported'`;
      assert.equal(await cluster.psql('postgres', imported), 'imported');
    } finally {
      await keeper.stop();
    }
  });

  it('ends with its starter as long as it holds nothing', async () => {
    const program = `
      const { startKeeper } = await import('#src/keeper/keeper.js');
      const keeper = await startKeeper(${JSON.stringify(toStart(cluster))});
      console.log(keeper.info.pid);
      process.kill(process.pid, 'SIGKILL');
    `;
    const { stdout } = await runChild(process.execPath, ['--input-type=module', '-e', program], { cwd: rootDir });
    await waitForEnd(Number(stdout), 30_000);
  });

  it('ends when its time without a client is over, and not before', async () => {
    const start = { ...toStart(cluster), ttlMs: 1500 };
    const keeper = await startKeeper(start);
    await keeper.hold('');
    // With a client it stays.
    await sleep(2000);
    assert.equal(await isAlive(keeper.info.pid), true);
    await keeper.leave();
    const again = await attachKeeper(start);
    assert.ok(again !== null);
    await again.leave();
    const elapsedMs = await waitForEnd(keeper.info.pid);
    assert.ok(elapsedMs > 1000, `ended after ${elapsedMs} ms`);
    assert.equal(existsSync(keeper.info.socketPath), false);
  });

  it('ends with its connection to the server, and says why', async () => {
    const keeper = await startKeeper(toStart(cluster));
    await cluster.psql('postgres', `SELECT pg_terminate_backend(${keeper.info.backendPid})`);
    await waitForEnd(keeper.info.pid);
    await assert.rejects(keeper.session.query('SELECT 1'), isErrorWith('connection_lost', /./));
    assert.equal(existsSync(keeper.info.socketPath), false);
  });

  it('ends on SIGTERM and ignores SIGINT and SIGHUP', async () => {
    const keeper = await startKeeper(toStart(cluster));
    process.kill(keeper.info.pid, 'SIGINT');
    process.kill(keeper.info.pid, 'SIGHUP');
    await sleep(200);
    assert.equal(await ask(keeper, 'SELECT 1'), '1');
    process.kill(keeper.info.pid, 'SIGTERM');
    await waitForEnd(keeper.info.pid);
    assert.equal(existsSync(keeper.info.socketPath), false);
    assert.equal(await countSessions(keeper.info.backendPid), '0');
  });

  it('is replaced when it was killed, and its name is not in the way', async () => {
    const start = toStart(cluster);
    const keeper = await startKeeper(start);
    process.kill(keeper.info.pid, 'SIGKILL');
    await waitForEnd(keeper.info.pid);
    assert.equal(existsSync(keeper.info.socketPath), true);
    assert.equal(await attachKeeper(start), null);
    await withKeeper(start, async (next) => assert.equal(await ask(next, 'SELECT 1'), '1'));
  });

  it('runs its ping while it is idle, and not while it holds nothing but a transaction without a snapshot', async () => {
    const start = { ...toStart(cluster), pingMs: 100 };
    await withKeeper(start, async (keeper) => {
      await keeper.session.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await cluster.psql('postgres', `CREATE TABLE after_begin_${process.pid} ()`);
      await sleep(500);
      // A ping that took the snapshot would hide what was committed since.
      assert.equal(await ask(keeper, `SELECT count(*) FROM pg_class WHERE relname = 'after_begin_${process.pid}'`), '1');
      await cluster.psql('postgres', `DROP TABLE after_begin_${process.pid}`);
      assert.equal((await keeper.readState()).pinged, null);
      await keeper.hold('SELECT 42');
      for (let tries = 0; (await keeper.readState()).pinged !== '42'; tries += 1) {
        assert.ok(tries < 100, 'no ping was run');
        await sleep(50);
      }
    });
  });

  for (const [title, login] of [
    ['TCP', scramLogin],
    ['TLS', tlsLogin],
  ] as const) {
    it(`connects by ${title} with a password that stands nowhere`, async () => {
      await withKeeper(toStart(cluster, 'postgres', login), async (keeper) => {
        assert.equal(await ask(keeper, 'SELECT current_user'), login.user);
        for (const name of ['cmdline', 'environ']) {
          const text = await readFile(`/proc/${keeper.info.pid}/${name}`, 'latin1');
          assert.equal(text.includes(login.password), false, name);
        }
      });
    });
  }

  it('tells why it cannot connect', async () => {
    const start = toStart(cluster);
    await assert.rejects(
      startKeeper({ ...start, connection: { keywords: ['host'], values: ['/nonexistent'] } }),
      isErrorWith('connection_failed', /nonexistent/),
    );
    await assert.rejects(
      startKeeper(toStart(cluster, 'postgres', { ...scramLogin, password: 'wrong' })),
      isErrorWith('authentication_failed', /password/),
    );
    await assert.rejects(startKeeper(toStart(cluster, 'no such database')), isErrorWith('database_not_found', /no such database/));
  });

  it('is left alone by an abort, which its client learns at once', async () => {
    const abort = new AbortController();
    const start = { ...toStart(cluster), signal: abort.signal };
    const keeper = await startKeeper(start);
    await keeper.session.query('BEGIN');
    await keeper.hold('');
    const waiting = keeper.session.query('SELECT pg_sleep(2)');
    await sleep(500);
    abort.abort();
    await assert.rejects(waiting, isErrorWith('cancelled', /cancelled/));
    await keeper.leave();
    const next = await attachKeeper({ ...start, signal: undefined });
    assert.ok(next !== null);
    // Still the same transaction, which an error would have ended.
    assert.equal(await ask(next, "SELECT now() < clock_timestamp() - interval '1 second'"), 't');
    await next.stop();
  });
});
