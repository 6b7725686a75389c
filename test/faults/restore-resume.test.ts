import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { compareDatabases, formatDifference } from '../../bench/equality.js';
import type { Cluster } from '../support/cluster.js';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';
import { expectSuccess, readFailure } from './support/failure.js';
import { kills, randomOf, seed } from './support/kills.js';
import { startRun } from './support/running.js';
import { type Scene, withScene } from './support/scene.js';
import { withTransaction } from './support/slow.js';

/** Of every part that a restore brings, something: a large table in many segments with indexes of its own, small ones, keys, views, large objects, triggers, comments. */
const corpusSql = `
CREATE TABLE big AS SELECT i AS id, i % 1000 AS bucket, md5(i::text) || repeat(md5((i + 1)::text), 12) AS v FROM generate_series(1, 60000) i;
ALTER TABLE big ADD PRIMARY KEY (id);
CREATE INDEX "big by bucket" ON big (bucket); CREATE INDEX big_v ON big (v);
COMMENT ON INDEX "big by bucket" IS 'an index'; COMMENT ON TABLE big IS 'a table';
CREATE TABLE child (id int REFERENCES big, n numeric) PARTITION BY RANGE (id);
CREATE TABLE child_1 PARTITION OF child FOR VALUES FROM (0) TO (500);
CREATE TABLE child_2 PARTITION OF child FOR VALUES FROM (500) TO (2000);
INSERT INTO child SELECT i, i FROM generate_series(1, 1500) i;
CREATE INDEX ON child (n);
DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('CREATE TABLE small_%s AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 20) g', i);
  EXECUTE format('CREATE UNIQUE INDEX ON small_%s (id)', i); END LOOP; END $$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON big FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE quiet AS ON DELETE TO small_1 DO INSTEAD NOTHING;
ALTER TABLE small_2 ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON small_2 USING (id > 3);
CREATE STATISTICS big_stat ON id, bucket FROM big;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION on_ddl();
CREATE PUBLICATION pub FOR TABLE big, small_1;
CREATE MATERIALIZED VIEW mv AS SELECT bucket, count(*) FROM big GROUP BY bucket;
CREATE SEQUENCE s; SELECT setval('s', 77);
SELECT count(lo_from_bytea(70000 + i, decode(repeat(md5(i::text), 400), 'hex'))) FROM generate_series(1, 300) i;
COMMENT ON LARGE OBJECT 70001 IS 'an object';
`;

const backupOptions = ['--chunk-size', '1MB', '--jobs', '3'];

const ledgerCount = (cluster: Cluster, database: string): Promise<string> =>
  cluster.psql(database, "SELECT count(*) FROM pg_namespace WHERE nspname = 'dbbackup_restore'");

const assertEqual = async (cluster: Cluster, source: string, target: string): Promise<void> => {
  assert.deepEqual((await compareDatabases(cluster, source, target)).map(formatDifference), []);
  assert.equal(await ledgerCount(cluster, target), '0');
};

const restoreArguments = (scene: Scene, id: string, target: string): readonly string[] => [
  'restore',
  'single',
  id,
  '--target-db',
  scene.cluster.uri(target),
  '--output-dir',
  scene.repository,
  '--jobs',
  '3',
];

describe('a restore that is killed', () => {
  it('goes on where it was, however often and whenever it is killed: no row is lost, none is there twice', async (context) => {
    await withScene(corpusSql, async (scene) => {
      const { cluster, database } = scene;
      const id = await scene.backUp(backupOptions);
      const random = randomOf(seed);
      const target = uniqueDatabaseName('resumed');
      const argumentsOf = [...restoreArguments(scene, id, target), '--create', '--resume'];
      // How long a whole one takes here.
      const whole = await startRun(argumentsOf).outcome;
      expectSuccess(whole);
      await assertEqual(cluster, database, target);
      await cluster.dropDatabase(target);
      const startedAt = Date.now();
      expectSuccess(await startRun(argumentsOf).outcome);
      const wholeMs = Date.now() - startedAt;
      await cluster.dropDatabase(target);

      let killed = 0;
      const phases = new Map<string, number>();
      while (killed < kills) {
        for (;;) {
          const run = startRun(argumentsOf);
          const isEarly = await Promise.race([sleep(random() * wholeMs, false), run.outcome.then(() => true)]);
          if (isEarly) {
            expectSuccess(await run.outcome);
            break;
          }
          process.kill(run.pid, 'SIGKILL');
          await run.outcome;
          killed += 1;
          const phase = run.events.findLast((event) => event.type === 'phase.started');
          const name = phase?.type === 'phase.started' ? phase.phase : 'before it began';
          phases.set(name, (phases.get(name) ?? 0) + 1);
          if (killed % 4 === 0) break;
        }
        if ((await cluster.psql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${target}'`)) === '1') {
          const last = await startRun(argumentsOf).outcome;
          // It may have been killed after its last step.
          if (last.status !== 0) assert.equal(readFailure(last.stderr).code, 'nothing_to_resume', last.stderr);
          await assertEqual(cluster, database, target);
          await cluster.dropDatabase(target);
        }
      }
      context.diagnostic(`${killed} kills: ${[...phases].map(([name, count]) => `${count} in ${name}`).join(', ')}`);
    });
  });

  it('is refused without --resume, with other options, as another backup, and while it runs', async () => {
    await withScene(corpusSql, async (scene) => {
      const { cluster, database } = scene;
      const id = await scene.backUp(backupOptions);
      const other = await scene.backUp(backupOptions);
      await withDatabase(cluster, async (target) => {
        const run = startRun(restoreArguments(scene, id, target));
        await run.waitFor('chunk.finished');
        process.kill(run.pid, 'SIGKILL');
        await run.outcome;
        const refuse = async (args: readonly string[], code: string, message: RegExp): Promise<void> => {
          const failure = readFailure((await startRun(args).outcome).stderr);
          assert.equal(failure.code, code, failure.message);
          assert.match(failure.message, message);
        };
        await refuse(restoreArguments(scene, id, target), 'target_not_empty', /was interrupted/);
        await refuse([...restoreArguments(scene, other, target), '--resume'], 'run_differs', new RegExp(`of backup ${id}`));
        await refuse([...restoreArguments(scene, id, target), '--resume', '--no-owner'], 'run_differs', /no-owner was false, not true/);
        await refuse([...restoreArguments(scene, id, target), '--resume', '--clean', '--yes'], 'usage', /--clean would drop it/);
        await refuse([...restoreArguments(scene, id, database), '--resume'], 'nothing_to_resume', /holds no unfinished restore/);
        // Another one at work: it holds the ledger as long as its session lives.
        const hold = "SELECT pg_advisory_lock('dbbackup_restore.run'::regclass::oid::int4, 0)";
        await withTransaction(cluster, target, hold, () =>
          refuse([...restoreArguments(scene, id, target), '--resume'], 'locked', /another restore into .* is running/),
        );
        expectSuccess(await startRun([...restoreArguments(scene, id, target), '--resume']).outcome);
        await assertEqual(cluster, database, target);
      });
    });
  });

  it('waits for a session of its that is still at work instead of loading rows twice', async () => {
    await withScene(corpusSql, async (scene) => {
      const { cluster, database } = scene;
      const id = await scene.backUp(backupOptions);
      await withDatabase(cluster, async (target) => {
        const run = startRun(restoreArguments(scene, id, target));
        await run.waitFor((event) => event.type === 'chunk.finished' && event.name.includes('big'));
        process.kill(run.pid, 'SIGKILL');
        await run.outcome;
        // A half-dead session: it has noted a segment and not committed it. Its name is another, so it is not ended.
        const bigOid = await cluster.psql(database, "SELECT 'big'::regclass::oid");
        const part = await cluster.psql(
          target,
          `SELECT 'rows ${bigOid} ' || n FROM generate_series(0, 60) n WHERE NOT EXISTS (SELECT FROM dbbackup_restore.done WHERE part = 'rows ${bigOid} ' || n) LIMIT 1`,
        );
        await withTransaction(cluster, target, `INSERT INTO dbbackup_restore.done VALUES ('${part}')`, async (end) => {
          const resumed = startRun([...restoreArguments(scene, id, target), '--resume']);
          await sleep(1500);
          assert.equal(resumed.events.length, 0, 'it waits before it does anything');
          await end('ROLLBACK');
          expectSuccess(await resumed.outcome);
        });
        await assertEqual(cluster, database, target);
      });
    });
  });

  it('adds rows to tables that hold some exactly once, and puts triggers back that the killed one had disabled', async () => {
    const rowsSql = 'INSERT INTO t SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 40000) i';
    const tableSql = `CREATE TABLE t (id int, v text); CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$;`;
    await withScene(`${tableSql} ${rowsSql};`, async (scene) => {
      const { cluster } = scene;
      const id = await scene.backUp(['--chunk-size', '1MB', '--jobs', '1']);
      await withDatabase(cluster, async (target) => {
        await cluster.psql(
          target,
          `${tableSql} INSERT INTO t VALUES (-1, 'mine'); CREATE TRIGGER own BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail(); ALTER TABLE t ENABLE ALWAYS TRIGGER own`,
        );
        const state = () => cluster.psql(target, "SELECT tgenabled FROM pg_trigger WHERE tgname = 'own'");
        const args = [...restoreArguments(scene, id, target), '--data-only', '--append', '--disable-triggers'];
        const run = startRun(args);
        await run.waitFor('chunk.finished');
        process.kill(run.pid, 'SIGKILL');
        await run.outcome;
        assert.equal(await state(), 'D');
        const again = await startRun(args).outcome;
        assert.equal(readFailure(again.stderr).code, 'target_not_empty', 'adding rows again would double them');
        expectSuccess(await startRun([...args, '--resume']).outcome);
        assert.equal(await state(), 'A');
        assert.equal(await cluster.psql(target, 'SELECT count(*), count(DISTINCT id) FROM t'), '40001|40001');
        assert.equal(await ledgerCount(cluster, target), '0');
      });
    });
  });

  it('leaves nothing behind when it failed before it had brought anything', async () => {
    await withScene('CREATE TABLE t AS SELECT 1 AS k', async (scene) => {
      const { cluster, database } = scene;
      const role = uniqueDatabaseName('gone');
      await cluster.psql(database, `CREATE ROLE ${role}; ALTER TABLE t OWNER TO ${role}`);
      const id = await scene.backUp();
      await cluster.psql(database, `ALTER TABLE t OWNER TO postgres; DROP ROLE ${role}`);
      await withDatabase(cluster, async (target) => {
        const failure = readFailure((await startRun(restoreArguments(scene, id, target)).outcome).stderr);
        assert.equal(failure.code, 'role_missing', failure.message);
        assert.equal(await ledgerCount(cluster, target), '0');
        // Definitions came in one transaction: the table is not there either.
        assert.equal(await cluster.psql(target, "SELECT to_regclass('t') IS NULL"), 't');
        expectSuccess(await startRun([...restoreArguments(scene, id, target), '--no-owner']).outcome);
      });
    });
  });
});
