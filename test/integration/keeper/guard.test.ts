import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLocalLeader } from '#src/catalog/snapshot.js';
import { openSession, type Session } from '#src/native/session.js';
import { withOwnServer } from '../../faults/support/own-server.js';
import { waitUntilEqual } from '../../faults/support/slow.js';
import { connectionTo, withSession } from '../native/connections.js';
import { copyOutTask, withEngine } from '../native/tasks.js';

describe('the guard of a snapshot', () => {
  it('tells a snapshot of the same name, exported after a restart of the server, from the one that was recorded', async () => {
    await withOwnServer({}, async ({ cluster, start, stop }) => {
      const connection = connectionTo(cluster, 'postgres');
      await cluster.psql('postgres', 'CREATE TABLE t AS SELECT 1 AS id');
      const known = await withSession(connection, async (session) => {
        const { snapshot, guard } = await createLocalLeader(session).takeSnapshot();
        return { snapshot, guard };
      });
      await stop();
      await start();

      // The name holds the place that the server has given the session among all: some are opened until one has the place of before.
      const sessions: Session[] = [];
      try {
        let other: Session | null = null;
        for (let restarts = 0; other === null && restarts < 10; restarts += 1) {
          other = await openInPlace(() => openSession(connection), sessions, known.snapshot);
          if (other !== null) break;
          // One of the server's own processes has it this time.
          for (const session of sessions.splice(0)) await session.close();
          await stop();
          await start();
        }
        assert.ok(other !== null, `no session in the place of ${known.snapshot}`);
        await exportSame(other, known.snapshot);
        const task = copyOutTask(connection, ['SELECT id FROM t']);
        const setupSql = ['BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', `SET TRANSACTION SNAPSHOT '${known.snapshot}'`];
        const unguarded = { ...task, session: { ...task.session, setupSql } };
        const guarded = {
          ...unguarded,
          session: { ...unguarded.session, key: 'guarded', guardSql: known.guard.sql, guardExpected: known.guard.expected },
        };
        // Without the guard nobody would notice.
        await withEngine(async (engine) => assert.equal((await engine.run(unguarded)).rowCount, 1));
        await withEngine((engine) =>
          assert.rejects(engine.run(guarded), { code: 'snapshot_invalid', message: /not the one that was exported/ }),
        );

        const { guard } = await adoptIn(other, known.snapshot);
        const renewed = { ...guarded, session: { ...guarded.session, guardSql: guard.sql, guardExpected: guard.expected } };
        await withEngine(async (engine) => assert.equal((await engine.run(renewed)).rowCount, 1));
      } finally {
        for (const session of sessions) await session.close();
      }
      // A session takes what it exported along, and ends a little later than its connection.
      const count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
      await waitUntilEqual(() => cluster.psql('postgres', count), '0');
      await withEngine((engine) =>
        assert.rejects(
          engine.run({
            ...copyOutTask(connection, ['SELECT 1']),
            session: {
              ...copyOutTask(connection, []).session,
              setupSql: ['BEGIN ISOLATION LEVEL REPEATABLE READ', `SET TRANSACTION SNAPSHOT '${known.snapshot}'`],
            },
          }),
          { code: 'snapshot_invalid' },
        ),
      );
    });
  });
});

/** Opens transactions until one exports a snapshot of this name: names count a session's transactions, so a few are enough. */
const openInPlace = async (open: () => Promise<Session>, sessions: Session[], snapshot: string): Promise<Session | null> => {
  const placeOf = (name: string): string => name.slice(0, name.indexOf('-'));
  for (let tries = 0; tries < 20; tries += 1) {
    const session = await open();
    sessions.push(session);
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const name = (await session.query('SELECT pg_export_snapshot()')).rows[0]?.[0] ?? '';
    await session.query('ROLLBACK');
    if (placeOf(name) === placeOf(snapshot)) return session;
  }
  return null;
};

const exportSame = async (session: Session, snapshot: string): Promise<void> => {
  const seen: string[] = [];
  for (let tries = 0; tries < 500; tries += 1) {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const name = (await session.query('SELECT pg_export_snapshot()')).rows[0]?.[0] ?? '';
    if (name === snapshot) return;
    seen.push(name);
    await session.query('ROLLBACK');
  }
  throw new Error(`no snapshot ${snapshot} among ${seen.slice(0, 5).join(', ')} … ${seen.at(-1)}`);
};

/** The snapshot that the session's transaction holds, as a leader tells it. */
const adoptIn = async (session: Session, snapshot: string) => {
  const transactionStart = (await session.query('SELECT pg_catalog.transaction_timestamp()')).rows[0]?.[0] ?? '';
  const catalog = { server: { systemIdentifier: 'known' }, relations: [] } as unknown as Parameters<
    ReturnType<typeof createLocalLeader>['adoptSnapshot']
  >[0]['catalog'];
  const known = { snapshot, lsn: '', takenAt: '', catalog, transactionStart };
  await assert.rejects(createLocalLeader(session).adoptSnapshot({ ...known, transactionStart: 'another' }), { code: 'snapshot_invalid' });
  return createLocalLeader(session).adoptSnapshot(known);
};
