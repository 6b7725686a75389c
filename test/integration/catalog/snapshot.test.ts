import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withSnapshot } from '#src/catalog/leader.js';
import { prelude } from '#src/catalog/prelude.js';
import type { QuerySession } from '#src/catalog/rows.js';
import { createLocalLeader } from '#src/catalog/snapshot.js';
import { DbbackupError } from '#src/core/errors.js';
import { toCopyOut } from '#src/planner/copy-statements.js';
import { type Cluster, quoteIdentifier } from '../../support/cluster.js';
import { uniqueDatabaseName, withDatabase } from '../../support/database.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { connectionTo, withSession } from '../native/connections.js';
import { createSample } from './sample.js';

const whole = { beginBlock: null, endBlock: null };

const withTwoSessions = async (
  sql: string,
  run: (leader: QuerySession, other: QuerySession, database: string, cluster: Cluster) => Promise<void>,
  options?: string,
): Promise<void> => {
  const cluster = await sharedCluster();
  await withDatabase(
    cluster,
    async (database) => {
      await cluster.psql(database, sql);
      const connection = connectionTo(cluster, database);
      await withSession(connection, (leader) => withSession(connection, (other) => run(leader, other, database, cluster)));
    },
    options,
  );
};

/** A role of its own for `run`, without any privilege. */
const withRole = async (cluster: Cluster, database: string, run: (role: string) => Promise<void>): Promise<void> => {
  const role = uniqueDatabaseName('Role');
  await cluster.psql(database, `CREATE ROLE ${quoteIdentifier(role)} LOGIN`);
  try {
    await run(role);
  } finally {
    await cluster.psql(database, `DROP OWNED BY ${quoteIdentifier(role)}; DROP ROLE ${quoteIdentifier(role)}`);
  }
};

/** A session in which `onQuery` runs before each statement, as somebody else's DDL might. */
const intercept = (session: QuerySession, onQuery: (sql: string) => Promise<void>): QuerySession => ({
  query: async (sql, params) => {
    await onQuery(sql);
    return session.query(sql, params);
  },
});

const rejectsWith = async (promise: Promise<unknown>, code: string, message: RegExp): Promise<DbbackupError> => {
  const error = await promise.then(
    () => assert.fail(`should have been ${code}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof DbbackupError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return error;
};

describe('a snapshot', () => {
  it('is exported with a lock on every relation, and another session reads every relation through it', async () => {
    const cluster = await sharedCluster();
    await withDatabase(cluster, async (database) => {
      await createSample(cluster, database);
      const connection = connectionTo(cluster, database);
      await withSession(connection, (session) =>
        withSnapshot(createLocalLeader(session), {}, async ({ snapshot, lsn, takenAt, catalog }) => {
          assert.match(snapshot, /^[0-9A-F]+-[0-9A-F]+-\d+$/);
          assert.match(lsn, /^[0-9A-F]+\/[0-9A-F]+$/);
          assert.ok(Math.abs(Date.parse(takenAt) - Date.now()) < 60_000, takenAt);
          const locked = await cluster.psql(
            database,
            `SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE l.mode = 'AccessShareLock' AND l.granted AND c.relkind IN ('r', 'p')
             AND c.oid >= 16384 AND l.pid = ${(await session.query('SELECT pg_backend_pid()')).rows[0]?.[0]}`,
          );
          assert.equal(locked, String(catalog.relations.length));
          await withSession(connection, async (worker) => {
            for (const sql of prelude(catalog.database.encoding)) await worker.query(sql);
            await worker.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
            await worker.query(`SET TRANSACTION SNAPSHOT '${snapshot}'`);
            for (const relation of catalog.relations.filter(({ kind }) => kind === 'r')) {
              for (const range of relation.condition === null
                ? [whole, { beginBlock: 0, endBlock: 4294967295 }, { beginBlock: 7, endBlock: null }]
                : [whole]) {
                const { lockSql, checkSql, checkExpected, copySql } = toCopyOut(relation, 'text', range, catalog.database.encoding);
                await worker.query(lockSql);
                assert.deepEqual((await worker.query(checkSql)).rows, [[checkExpected]], relation.quotedName);
                await worker.query(copySql.replace('TO STDOUT', "TO PROGRAM 'cat > /dev/null'"));
              }
            }
          });
        }),
      );
    });
  });

  it('keeps TRUNCATE out until it is released, and is released once', async () => {
    await withTwoSessions('CREATE TABLE t (id int)', async (session, other) => {
      await other.query("SET lock_timeout TO '100ms'");
      const leader = createLocalLeader(session);
      await leader.takeSnapshot();
      await rejectsWith(other.query('TRUNCATE t'), 'lock_not_available', /./);
      await leader.checkSnapshot();
      await rejectsWith(leader.takeSnapshot(), 'internal', /holds a snapshot/);
      await leader.releaseSnapshot();
      await leader.releaseSnapshot();
      await rejectsWith(leader.checkSnapshot(), 'snapshot_invalid', /./);
      await other.query('TRUNCATE t');
      await leader.takeSnapshot();
      await session.query('ROLLBACK');
      await rejectsWith(leader.checkSnapshot(), 'snapshot_invalid', /./);
      await leader.releaseSnapshot();
    });
  });

  it('leaves the first error the one that is told when its connection is lost', async () => {
    await withTwoSessions('CREATE TABLE t (id int)', async (session, other) => {
      const { rows } = await session.query('SELECT pg_backend_pid()');
      const lose = withSnapshot(createLocalLeader(session), {}, async () => {
        await other.query(`SELECT pg_terminate_backend(${rows[0]?.[0]}, 5000)`);
        throw new DbbackupError('disk_full', 'no space is left');
      });
      const error = await rejectsWith(lose, 'disk_full', /^no space is left$/);
      assert.equal(error.details.later?.length, 1);
    });
  });

  it('sees what was committed while it waited for a lock', async () => {
    await withTwoSessions(
      'CREATE TABLE a (id int); CREATE TABLE t (id int); INSERT INTO t VALUES (1)',
      async (session, other, database, cluster) => {
        await other.query('BEGIN; ALTER TABLE t ADD more text; TRUNCATE t; INSERT INTO t VALUES (2), (3)');
        const leader = createLocalLeader(session);
        const taking = leader.takeSnapshot();
        while ((await cluster.psql(database, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass")) === '0')
          await sleep(10);
        await other.query('COMMIT');
        const { catalog } = await taking;
        assert.deepEqual(
          catalog.relations.find(({ name }) => name === 't')?.columns.map(({ name }) => name),
          ['id', 'more'],
        );
        assert.deepEqual((await session.query('SELECT count(*) FROM public.t')).rows, [['2']]);
      },
    );
  });

  it('locks what is created between the list and the snapshot', async () => {
    await withTwoSessions('CREATE TABLE a (id int)', async (session, other) => {
      const late = intercept(session, async (sql) => {
        if (sql.startsWith('BEGIN')) await other.query('CREATE TABLE late (id int)');
      });
      const { catalog } = await createLocalLeader(late).takeSnapshot();
      assert.deepEqual(
        catalog.relations.map(({ name }) => name),
        ['a', 'late'],
      );
      await rejectsWith(other.query("SET lock_timeout TO '50ms'; DROP TABLE late"), 'lock_not_available', /./);
    });
  });

  const changes: readonly (readonly [string, string])[] = [
    ['truncated', 'TRUNCATE t'],
    ['rewritten', 'ALTER TABLE t ALTER id TYPE bigint'],
    ['renamed', 'ALTER TABLE t RENAME TO moved'],
    ['replaced', 'ALTER TABLE t RENAME TO moved; CREATE TABLE t (id int)'],
    ['dropped', 'DROP TABLE t'],
  ];
  for (const [how, ddl] of changes) {
    it(`is taken again when a relation was ${how} before it was locked`, async () => {
      await withTwoSessions('CREATE TABLE a (id int); CREATE TABLE t (id int); INSERT INTO t VALUES (1)', async (session, other) => {
        let tries = 0;
        let locks = 0;
        const hiding: QuerySession = {
          query: async (sql, params) => {
            if (sql.startsWith('BEGIN')) tries += 1;
            // The first list lacks the table, so that it is locked after the snapshot only; just before that somebody changes it.
            if (sql.startsWith('LOCK')) locks += 1;
            if (sql.startsWith('LOCK') && locks === 2) await other.query(ddl);
            const result = await session.query(sql, params);
            const isList = tries === 0 && result.columns.join() === 'oid,quoted_name';
            return isList ? { ...result, rows: result.rows.filter((row) => row[1] !== 'public.t') } : result;
          },
        };
        const { catalog } = await createLocalLeader(hiding).takeSnapshot();
        assert.equal(tries, 2);
        for (const { oid, fileNode } of catalog.relations) {
          assert.deepEqual((await other.query(`SELECT pg_relation_filenode(${oid})`)).rows, [[String(fileNode)]]);
        }
      });
    });
  }

  it('is given up after five tries, naming the relation', async () => {
    await withTwoSessions('CREATE TABLE a (id int); CREATE TABLE t (id int)', async (session, other) => {
      let tries = 0;
      const restless = intercept(session, async (sql) => {
        if (sql.startsWith('BEGIN')) tries += 1;
        if (sql.startsWith('LOCK')) await other.query('DROP TABLE t');
        if (sql === 'ROLLBACK') await other.query('CREATE TABLE t (id int)');
      });
      await rejectsWith(createLocalLeader(restless).takeSnapshot(), 'relation_changed', /"public\.t" does not exist, at each of 5 tries/);
      assert.equal(tries, 5);
    });
  });

  it('names the relation and the session in the way when the time for locks has passed', async () => {
    await withTwoSessions('CREATE TABLE a (id int); CREATE TABLE t (id int)', async (session, other) => {
      await other.query('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
      const pid = (await other.query('SELECT pg_backend_pid()')).rows[0]?.[0];
      const leader = createLocalLeader(session);
      const error = await rejectsWith(
        leader.takeSnapshot({ lockTimeoutMs: 100 }),
        'lock_not_available',
        new RegExp(`public\\.t is locked by server process ${pid}`),
      );
      assert.equal(error.details.object, 'public.t');
      await other.query('ROLLBACK');
      await leader.takeSnapshot({ lockTimeoutMs: 100 });
      assert.deepEqual((await session.query('SHOW lock_timeout')).rows, [['0']]);
    });
  });

  it('reads names in the encoding of the database, and workers find them by statements in ASCII', async () => {
    await withTwoSessions(
      `CREATE TABLE "Gemüse\\""é" ("größe" text, plain int); INSERT INTO "Gemüse\\""é" VALUES ('süß', 1)`,
      async (session, worker) => {
        const { snapshot, catalog } = await createLocalLeader(session).takeSnapshot();
        const relation = catalog.relations[0];
        assert.ok(relation);
        assert.deepEqual([catalog.database.encoding, relation.name, relation.columns[0]?.name], ['LATIN1', 'Gemüse\\"é', 'größe']);
        for (const sql of prelude(catalog.database.encoding)) await worker.query(sql);
        await worker.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${snapshot}'`);
        for (const range of [whole, { beginBlock: 0, endBlock: null }]) {
          const { lockSql, checkSql, checkExpected, copySql } = toCopyOut(relation, 'text', range, catalog.database.encoding);
          await worker.query(lockSql);
          assert.deepEqual((await worker.query(checkSql)).rows, [[checkExpected]]);
          assert.equal((await worker.query(copySql.replace('TO STDOUT', "TO PROGRAM 'cat > /dev/null'"))).command, 'COPY 1');
        }
      },
      "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
    );
  });
});

describe('privileges', () => {
  const take = (cluster: Cluster, database: string, role: string): Promise<unknown> =>
    withSession(connectionTo(cluster, database, { user: role }), (session) => createLocalLeader(session).takeSnapshot());

  it('are asked for before any lock, with the statements that grant them', async () => {
    const cluster = await sharedCluster();
    await withDatabase(cluster, async (database) => {
      const sql =
        'CREATE SCHEMA "Closed"; CREATE TABLE "Closed".t (id int); CREATE TABLE plain (id serial); CREATE TABLE "Quoted" (id int); CREATE TABLE guarded (id int)';
      await cluster.psql(database, `${sql}; ALTER TABLE guarded ENABLE ROW LEVEL SECURITY`);
      await withRole(cluster, database, async (role) => {
        const quoted = quoteIdentifier(role);
        const noSchema = await rejectsWith(take(cluster, database, role), 'permission_denied', /may not use schema "Closed"$/);
        assert.equal(noSchema.hint, `Run: GRANT USAGE ON SCHEMA "Closed" TO ${quoted};`);
        await cluster.psql(database, noSchema.hint?.replace('Run: ', '') ?? '');

        const noTable = await rejectsWith(
          take(cluster, database, role),
          'permission_denied',
          /may not read "Closed"\.t, public\."Quoted", public\.guarded, public\.plain, public\.plain_id_seq$/,
        );
        assert.match(
          noTable.hint ?? '',
          /^Run: GRANT SELECT ON TABLE "Closed"\.t, .* TO .*; GRANT SELECT ON SEQUENCE public\.plain_id_seq TO .*;$/,
        );
        await cluster.psql(database, noTable.hint?.replace('Run: ', '') ?? '');

        const noRows = await rejectsWith(
          take(cluster, database, role),
          'permission_denied',
          /row security hides rows of public\.guarded from role/,
        );
        assert.match(noRows.hint ?? '', /^Run: ALTER ROLE .* BYPASSRLS;/);
        await cluster.psql(database, `ALTER ROLE ${quoted} BYPASSRLS`);
        await take(cluster, database, role);

        await cluster.psql(database, "DO $$ BEGIN FOR n IN 1..7 LOOP EXECUTE format('CREATE TABLE x%s ()', n); END LOOP; END $$");
        const many = await rejectsWith(take(cluster, database, role), 'permission_denied', /public\.x5 and 2 more$/);
        assert.match(many.hint ?? '', /GRANT pg_read_all_data TO/);
      });
    });
  });
});
