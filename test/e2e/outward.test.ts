import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { expectFailure, expectSuccess } from '../faults/support/failure.js';
import { type Scene, withScene } from '../faults/support/scene.js';
import { type ChildOutcome, runChild } from '../support/child.js';
import { withDatabase } from '../support/database.js';

/** Parts of a database that lead out of themselves: into a target that has what they need, and into one that has not; by dbbackup and by `restore.sh`. */

const ask = (scene: Scene, database: string, sql: string): Promise<string> => scene.cluster.psql(database, sql);

const expectWarned = (outcome: ChildOutcome): string => {
  assert.equal(outcome.status, 3, outcome.stderr);
  return outcome.stderr;
};

const runScript = (scene: Scene, id: string, target: string, ...options: readonly string[]): Promise<ChildOutcome> =>
  runChild(join(scene.directoryOf(id), 'restore.sh'), ['-d', scene.cluster.uri(target), ...options]);

const parent = `CREATE TABLE ref (id int PRIMARY KEY); INSERT INTO ref SELECT generate_series(0, 99);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TABLE ev (id int PRIMARY KEY, r int REFERENCES ref, note text) PARTITION BY RANGE (id);
CREATE INDEX ev_note ON ev (note); CREATE TRIGGER noted AFTER INSERT ON ev FOR EACH ROW EXECUTE FUNCTION note();`;
const partitions = `CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM (0) TO (10); CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE ev_2a PARTITION OF ev_2 FOR VALUES FROM (10) TO (15); CREATE UNIQUE INDEX ev_1_own ON ev_1 (note, id); COMMENT ON INDEX ev_1_note_idx IS 'kept';
ALTER TABLE ev_1 ENABLE ALWAYS TRIGGER noted;`;
const tree = `${parent} ${partitions} INSERT INTO ev SELECT i, i, 'n' || i FROM generate_series(0, 14) i;`;

/** Indexes of a partition with what each is attached to and their comments, then triggers with their states, then foreign keys. */
const ofPartition = `SELECT string_agg(line, ',' ORDER BY line COLLATE "C") FROM (
  SELECT i.indexrelid::regclass || '<' || coalesce((SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = i.indexrelid), '') || coalesce(':' || obj_description(i.indexrelid, 'pg_class'), '') AS line
    FROM pg_index i WHERE i.indrelid = 'ev_1'::regclass
  UNION ALL SELECT tgname || tgenabled::text FROM pg_trigger WHERE tgrelid = 'ev_1'::regclass AND tgname = 'noted'
  UNION ALL SELECT conname || contype::text FROM pg_constraint WHERE conrelid = 'ev_1'::regclass AND contype <> 'n') lines`;

describe('a part that leads out of itself', () => {
  test('a partition is attached to a parent of the target with its indexes, triggers and keys', () =>
    withScene(tree, async (scene) => {
      const whole = await scene.backUp();
      const part = await scene.backUp(['-t', 'ev_1']);
      const tables = await scene.backUp(['-t', 'ev_2*']);
      for (const [id, options] of [
        [whole, ['-t', 'ev_1']],
        [part, ['-t', 'ev_1']],
        [part, ['-t', '*', '--check']],
      ] as const)
        await withDatabase(scene.cluster, async (target) => {
          await ask(scene, target, parent);
          expectSuccess(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), ...options]));
          assert.equal(await ask(scene, target, ofPartition), await ask(scene, scene.database, ofPartition));
          assert.equal(await ask(scene, target, 'SELECT count(*) FROM ev'), '10');
          // One that is partitioned itself comes beside it.
          expectSuccess(await scene.run(['restore', 'single', tables, '--target-db', scene.cluster.uri(target), '-t', 'ev_2*']));
          assert.equal(
            await ask(scene, target, 'SELECT count(*), bool_and(indisvalid) FROM ev, pg_index GROUP BY indexrelid LIMIT 1'),
            '15|t',
          );
          assert.equal(await ask(scene, target, 'SELECT count(*) FROM pg_index WHERE NOT indisvalid'), '0');
        });
    }));

  test('a partition whose parent the target lacks stands alone, also by restore.sh', () =>
    withScene(tree, async (scene) => {
      const id = await scene.backUp(['-t', 'ev_1']);
      const alone = 'ev_1_note_idx<:kept,ev_1_own<,ev_1_pkey<,ev_1_pkeyp';
      await withDatabase(scene.cluster, async (target) => {
        const told = expectWarned(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target)]));
        assert.match(told, /TABLE ATTACH public ev_1 \S+ is left out/);
        assert.match(told, /TRIGGER public ev_1 noted \S+ is left out: public\.ev is not restored/);
        assert.doesNotMatch(told, /INDEX ATTACH/);
        assert.equal(await ask(scene, target, ofPartition), alone);
        await ask(scene, target, 'DROP TABLE ev_1');
        const script = await runScript(scene, id, target);
        assert.equal(script.status, 0, script.stderr);
        assert.match(script.stderr, /left out, since it needs what is not in this backup: 0 0 TABLE ATTACH public ev_1/);
        assert.equal(await ask(scene, target, ofPartition), alone);
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM ev_1'), '10');
      });
    }));

  test('a level of a tree that is left out: what is below stands alone', () =>
    withScene(tree, async (scene) => {
      const whole = await scene.backUp();
      const part = await scene.backUp(['-T', 'ev_2']);
      for (const [id, options] of [
        [whole, ['-T', 'ev_2']],
        [part, []],
      ] as const)
        await withDatabase(scene.cluster, async (target) => {
          const told = expectWarned(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), ...options]));
          assert.match(told, /TABLE ATTACH public ev_2a \S+ is left out/);
          assert.equal(await ask(scene, target, 'SELECT count(*), (SELECT count(*) FROM ev_2a) FROM ev'), '10|5');
          assert.equal(await ask(scene, target, ofPartition), await ask(scene, scene.database, ofPartition));
        });
      await withDatabase(scene.cluster, async (target) => {
        const script = await runScript(scene, part, target);
        assert.equal(script.status, 0, script.stderr);
        assert.equal(await ask(scene, target, 'SELECT count(*), (SELECT count(*) FROM ev_2a) FROM ev'), '10|5');
        assert.equal(await ask(scene, target, ofPartition), await ask(scene, scene.database, ofPartition));
      });
    }));

  test('foreign keys to a table with partitions of partitions are made while nothing else is: no deadlock', () =>
    withScene(
      `CREATE TABLE big (a int, b int, c text, PRIMARY KEY (a, b)) PARTITION BY RANGE (a); CREATE INDEX ON big (c); CREATE INDEX ON big (b, c);
DO $$BEGIN FOR i IN 0..5 LOOP EXECUTE format('CREATE TABLE big_%s PARTITION OF big FOR VALUES FROM (%s) TO (%s) PARTITION BY HASH (b)', i, i, i + 1);
  FOR k IN 0..2 LOOP EXECUTE format('CREATE TABLE big_%s_%s PARTITION OF big_%s FOR VALUES WITH (MODULUS 3, REMAINDER %s)', i, k, i, k); END LOOP; END LOOP; END$$;
INSERT INTO big SELECT i % 6, i, 'c' FROM generate_series(1, 60) i; CREATE TABLE one (a int, b int, CONSTRAINT first FOREIGN KEY (a, b) REFERENCES big);
CREATE TABLE two (a int, b int, CONSTRAINT second FOREIGN KEY (a, b) REFERENCES big); COMMENT ON CONSTRAINT second ON two IS 'kept';`,
      async (scene) => {
        const id = await scene.backUp();
        const facts = `SELECT string_agg(conname, ',' ORDER BY conname), (SELECT count(*) FROM pg_index WHERE NOT indisvalid), (SELECT description FROM pg_description WHERE classoid = 'pg_constraint'::regclass)
FROM pg_constraint WHERE contype = 'f' AND conparentid = 0`;
        for (const restore of [
          (target: string) => scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--jobs', '8']),
          (target: string) => runScript(scene, id, target, '-j', '8'),
        ])
          await withDatabase(scene.cluster, async (target) => {
            expectSuccess(await restore(target));
            assert.equal(await ask(scene, target, facts), 'first,second|0|kept');
          });
      },
    ));

  const reading = `CREATE TABLE log (id int); INSERT INTO log VALUES (1); CREATE TABLE t (id int); INSERT INTO t VALUES (7);
CREATE RULE noted AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (new.id); CREATE VIEW logv AS SELECT * FROM log; COMMENT ON VIEW logv IS 'v'; CREATE VIEW logw AS SELECT * FROM logv;
CREATE MATERIALIZED VIEW logm AS SELECT count(*) AS n FROM logw; CREATE INDEX ON logm (n); CREATE MATERIALIZED VIEW tm AS SELECT count(*) AS n FROM t;
CREATE FUNCTION of_view(logv) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE par (a int); CREATE TABLE chi (b int) INHERITS (par); INSERT INTO chi VALUES (1, 2);`;

  test('views, rules and children, where the target has what they need and where not; by restore.sh, too', () =>
    withScene(reading, async (scene) => {
      const saved = await scene.run(['backup', 'single', scene.cluster.uri(scene.database), '-T', 'log', '-T', 'par']);
      const id = expectWarned(saved) && saved.stdout.trim();
      await withDatabase(scene.cluster, async (target) => {
        const told = expectWarned(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target)]));
        for (const left of [
          /RULE public t noted/,
          /VIEW public logv/,
          /VIEW public logw/,
          /MATERIALIZED VIEW public logm/,
          /FUNCTION public of_view/,
          /TABLE public chi/,
        ])
          assert.match(told, left);
        assert.equal(
          await ask(scene, target, "SELECT string_agg(relname, ',' ORDER BY 1) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
          't,tm',
        );
        assert.equal(await ask(scene, target, 'SELECT t.id, tm.n FROM t, tm'), '7|1');
      });
      await withDatabase(scene.cluster, async (target) => {
        const refused = await runScript(scene, id, target);
        assert.equal(refused.status, 1, refused.stderr);
        assert.match(refused.stderr, /inherits from one that is not in this backup: \d+ \d+ TABLE public chi/);
        assert.equal(await ask(scene, target, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"), '0');
      });
      const second = await scene.run(['backup', 'single', scene.cluster.uri(scene.database), '-T', 'log']);
      const byScript = expectWarned(second) && second.stdout.trim();
      await withDatabase(scene.cluster, async (target) => {
        const script = await runScript(scene, byScript, target);
        assert.equal(script.status, 0, script.stderr);
        assert.match(script.stderr, /left out, since it needs what is not in this backup: \d+ \d+ VIEW public logv/);
        assert.equal(
          await ask(scene, target, "SELECT string_agg(relname, ',' ORDER BY 1) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
          'chi,par,t,tm',
        );
        assert.equal(await ask(scene, target, 'SELECT t.id, tm.n, chi.b FROM t, tm, chi'), '7|1|2');
      });
      // Named relations into a target that has what they need.
      await withDatabase(scene.cluster, async (target) => {
        await ask(scene, target, 'CREATE TABLE log (id int); INSERT INTO log VALUES (1), (2); CREATE TABLE par (a int)');
        expectSuccess(
          await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '-t', 't', '-t', 'chi', '-t', 'log?']),
        );
        await ask(scene, target, 'INSERT INTO t VALUES (9)');
        assert.equal(await ask(scene, target, 'SELECT max(id), (SELECT n FROM logm), (SELECT max(a) FROM par) FROM log'), '9|2|1');
      });
    }));

  test('restore.sh of named schemas leaves one that exists', () =>
    withScene(
      'CREATE SCHEMA "Sales x"; CREATE TABLE "Sales x".t (id int); INSERT INTO "Sales x".t VALUES (3); CREATE SCHEMA hr; CREATE TABLE hr.p (id int);',
      async (scene) => {
        const id = await scene.backUp(['-n', '"Sales x"', '-n', 'hr']);
        await withDatabase(scene.cluster, async (target) => {
          await ask(scene, target, 'CREATE SCHEMA "Sales x"');
          const script = await runScript(scene, id, target);
          assert.equal(script.status, 0, script.stderr);
          assert.equal(await ask(scene, target, 'SELECT id, (SELECT count(*) FROM hr.p) FROM "Sales x".t'), '3|0');
        });
      },
    ));

  test('rows without definitions that cannot be loaded: the advice is not to drop the target', () =>
    withScene('CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 9)', async (scene) => {
      const id = await scene.backUp(['--data-only']);
      await withDatabase(scene.cluster, async (target) => {
        await ask(scene, target, 'CREATE TABLE t (id int CHECK (id < 9))');
        const script = await runScript(scene, id, target);
        assert.equal(script.status, 1, script.stderr);
        assert.match(script.stderr, /empty the tables that were loaded and begin anew/);
        assert.doesNotMatch(script.stderr, /drop/);
      });
    }));

  test('a materialised view over rows that were left out stays empty where its query fails, and is told', () =>
    withScene(
      `CREATE TABLE log (n int) PARTITION BY RANGE (n); CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (9); INSERT INTO log VALUES (4); CREATE VIEW avg AS SELECT 8 / count(*) AS n FROM log;
CREATE MATERIALIZED VIEW m AS SELECT * FROM avg; CREATE MATERIALIZED VIEW mm AS SELECT * FROM m; CREATE TABLE t (n int); INSERT INTO t VALUES (1); CREATE MATERIALIZED VIEW fine AS SELECT * FROM t;`,
      async (scene) => {
        const whole = await scene.backUp();
        const id = await scene.backUp(['--exclude-table-data', 'log_1']);
        for (const [from, options] of [
          [whole, ['--exclude-table-data', 'log*']],
          [id, []],
        ] as const)
          await withDatabase(scene.cluster, async (target) => {
            const told = expectWarned(await scene.run(['restore', 'single', from, '--target-db', scene.cluster.uri(target), ...options]));
            assert.match(
              told,
              /materialized view public\.m stays empty: it reads public\.log_1, which was restored without rows, and its query fails: .*division by zero/,
            );
            assert.match(told, /materialized view public\.mm stays empty: it reads public\.m,/);
            assert.equal(await ask(scene, target, 'SELECT n FROM fine'), '1');
          });
        await withDatabase(scene.cluster, async (target) => {
          const script = await runScript(scene, id, target);
          assert.equal(script.status, 0, script.stderr);
          assert.match(script.stderr, /division by zero/);
          assert.equal(await ask(scene, target, 'SELECT n FROM fine'), '1');
        });
        // One that fails with all its rows there ends the restore.
        await ask(
          scene,
          scene.database,
          'ALTER TABLE t ADD CHECK (true); CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN (SELECT id FROM gone); END$$; CREATE TABLE gone (id int); CREATE MATERIALIZED VIEW b AS SELECT broken(); DROP TABLE gone;',
        );
        const broken = await scene.backUp();
        await withDatabase(scene.cluster, async (target) => {
          expectFailure(
            await scene.run(['restore', 'single', broken, '--target-db', scene.cluster.uri(target), '--exclude-table-data', 'log*']),
            {
              status: 1,
              code: 'server_error',
              message: /materialized view public\.b could not be refreshed: .*gone/,
            },
          );
        });
      },
    ));
});
