import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { expectFailure, expectSuccess } from '../faults/support/failure.js';
import { type Scene, withScene } from '../faults/support/scene.js';
import type { Cluster } from '../support/cluster.js';
import { withDatabase } from '../support/database.js';

const ask = (scene: Scene, database: string, sql: string): Promise<string> => scene.cluster.psql(database, sql);

const tree = `CREATE TABLE ev (id int, r int) PARTITION BY RANGE (id); CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM (0) TO (100);
CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM (100) TO (200); CREATE TABLE log (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log VALUES (tg_name); RETURN new; END';
CREATE TRIGGER noted AFTER INSERT ON ev FOR EACH ROW EXECUTE FUNCTION note();`;
const treeRows =
  'INSERT INTO ev SELECT i, 7 FROM generate_series(1, 40) i; INSERT INTO ev SELECT i, 8 FROM generate_series(101, 105) i; TRUNCATE log;';
const states =
  "SELECT string_agg(tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text, ',' ORDER BY tgrelid::regclass::text, tgname) FROM pg_trigger WHERE tgname IN ('noted', 'own')";

/** Rows into tables that exist, where servers differ. */
export const describeExistingTables = (title: string, find: () => Promise<Cluster>, isOwn: boolean): void => {
  describe(title, () => {
    let cluster: Cluster;
    before(async () => {
      cluster = await find();
    });
    after(async () => {
      if (isOwn) await cluster.stop();
    });
    /** With the client tools of the cluster's own version. */
    const scene = (sql: string, fn: (scene: Scene) => Promise<void>): Promise<void> =>
      withScene(
        sql,
        (base) => {
          const tools = ['--pg-bin-dir', cluster.binDir];
          return fn({
            ...base,
            run: (args, options) => base.run([...args, ...tools], options),
            backUp: (args = []) => base.backUp([...args, ...tools]),
          });
        },
        { cluster },
      );

    test('copies of triggers on partitions are switched off and come back, each as it was', () =>
      scene(`${tree} ${treeRows}`, async (scene) => {
        const id = await scene.backUp();
        await withDatabase(cluster, async (target) => {
          await ask(
            scene,
            target,
            `${tree} ALTER TABLE ev ENABLE ALWAYS TRIGGER noted; ALTER TABLE ev_1 DISABLE TRIGGER noted; ALTER TABLE ev_2 ENABLE REPLICA TRIGGER noted;
CREATE TRIGGER own AFTER INSERT ON ev_1 FOR EACH ROW EXECUTE FUNCTION note(); ALTER TABLE ev_1 ENABLE ALWAYS TRIGGER own;`,
          );
          const before = await ask(scene, target, states);
          assert.equal(before, 'ev noted A,ev_1 noted D,ev_1 own A,ev_2 noted R');
          const to = ['restore', 'single', id, '--target-db', cluster.uri(target), '--data-only', '-t', 'ev*'];
          expectFailure(await scene.run(to), { status: 1, code: 'triggers_in_the_way', message: /trigger noted of public\.ev/ });
          for (const options of [[], ['--load-via-partition-root']]) {
            expectSuccess(await scene.run([...to, ...options, '--disable-triggers', '--check']));
            assert.equal(await ask(scene, target, 'SELECT count(*), (SELECT count(*) FROM log) FROM ev'), '45|0');
            assert.equal(await ask(scene, target, states), before);
            await ask(scene, target, 'TRUNCATE ev, log');
          }
        });
      }));

    test('partitions that were named alone go through the root, into partitions of other names, and are checked there', () =>
      scene(`${tree} ${treeRows}`, async (scene) => {
        const whole = await scene.backUp();
        const part = await scene.backUp(['-t', 'ev_1', '-t', 'ev_2']);
        const other =
          'CREATE TABLE ev (r int, id int) PARTITION BY LIST (r); CREATE TABLE seven PARTITION OF ev FOR VALUES IN (7); CREATE TABLE rest PARTITION OF ev DEFAULT;';
        const parts: readonly (readonly [id: string, options: readonly string[]])[] = [
          [whole, ['-t', 'ev_1']],
          [whole, ['-t', 'ev*']],
          [part, ['-t', 'ev_?']],
          [part, []],
        ];
        for (const [id, options] of parts)
          await withDatabase(cluster, async (target) => {
            const to = ['restore', 'single', id, '--target-db', cluster.uri(target), '--data-only', ...options];
            await ask(scene, target, other);
            const wanted = options.includes('ev_1') ? '40' : '45';
            expectFailure(await scene.run(to), { status: 1, code: 'target_incompatible', message: /public\.ev_1 does not exist/ });
            expectSuccess(await scene.run([...to, '--load-via-partition-root', '--check']));
            assert.equal(await ask(scene, target, 'SELECT count(*) FROM ev'), wanted, `${options}`);
          });
        // A plain table of the root's name takes them as well.
        await withDatabase(cluster, async (target) => {
          await ask(scene, target, 'CREATE TABLE ev (id int, r int)');
          const to = [
            'restore',
            'single',
            whole,
            '--target-db',
            cluster.uri(target),
            '--data-only',
            '-t',
            'ev_*',
            '--load-via-partition-root',
            '--check',
          ];
          expectSuccess(await scene.run(to));
          assert.equal(await ask(scene, target, 'SELECT count(*) FROM ev'), '45');
          // A column that changes what it takes.
          await ask(scene, target, 'TRUNCATE ev; ALTER TABLE ev ALTER r TYPE numeric(5, 1)');
          expectFailure(await scene.run(to), { status: 20, code: 'content_differs', message: /rows of public\.ev differ/, hint: /^$/ });
        });
      }));

    test('sequences of either direction are never set back by --append', () =>
      scene(
        "CREATE SEQUENCE up; CREATE SEQUENCE down INCREMENT -2; SELECT setval('up', 50); SELECT setval('down', -50); CREATE SEQUENCE fresh INCREMENT -1; CREATE TABLE t (id int DEFAULT nextval('up'))",
        async (scene) => {
          const id = await scene.backUp();
          await withDatabase(cluster, async (target) => {
            await ask(
              scene,
              target,
              "CREATE SEQUENCE up; CREATE SEQUENCE down INCREMENT -2; CREATE SEQUENCE fresh INCREMENT -1; CREATE TABLE t (id int DEFAULT nextval('up'))",
            );
            const append = ['restore', 'single', id, '--target-db', cluster.uri(target), '--data-only', '--append'];
            const values = "SELECT nextval('up'), nextval('down'), nextval('fresh')";
            expectSuccess(await scene.run(append));
            assert.equal(await ask(scene, target, values), '51|-52|-1');
            await ask(scene, target, "SELECT setval('up', 100), setval('down', -100), setval('fresh', -9)");
            expectSuccess(await scene.run(append));
            assert.equal(await ask(scene, target, values), '101|-102|-10');
            await ask(scene, target, "SELECT setval('up', 50, false), setval('down', -50, false), setval('fresh', -1, false)");
            expectSuccess(await scene.run(append));
            assert.equal(await ask(scene, target, values), '51|-52|-1');
            await ask(scene, target, "SELECT setval('up', 49), setval('down', -48), setval('fresh', -1)");
            expectSuccess(await scene.run(append));
            assert.equal(await ask(scene, target, values), '51|-52|-2');
          });
        },
      ));

    test('a temporal foreign key is proved by the periods of its referents together', (context) => {
      if (cluster.version < 18) return context.skip('the server has none');
      const pair = `CREATE EXTENSION btree_gist; CREATE TABLE pk (id int, span daterange, PRIMARY KEY (id, span WITHOUT OVERLAPS));
CREATE TABLE fk (id int, pid int, span daterange, CONSTRAINT within FOREIGN KEY (pid, PERIOD span) REFERENCES pk (id, PERIOD span));`;
      return scene(
        `${pair} INSERT INTO pk VALUES (1, '[2020-01-01,2021-01-01)'), (1, '[2021-01-01,2022-01-01)'), (2, '[2020-01-01,2021-01-01)'); INSERT INTO fk VALUES (1, 1, '[2020-06-01,2021-06-01)'), (2, NULL, '[1999-01-01,2000-01-01)');`,
        async (scene) => {
          const id = await scene.backUp();
          await withDatabase(cluster, async (target) => {
            await ask(scene, target, pair);
            const to = ['restore', 'single', id, '--target-db', cluster.uri(target), '--data-only'];
            expectSuccess(await scene.run([...to, '--check']));
            for (const wrong of [
              "UPDATE pk SET span = '[2021-03-01,2022-01-01)' WHERE id = 1 AND upper(span) = '2022-01-01'",
              'DELETE FROM pk',
            ]) {
              await ask(scene, target, `SET session_replication_role = replica; TRUNCATE fk; ${wrong}`);
              expectFailure(await scene.run([...to, '-t', 'fk']), {
                status: 1,
                code: 'constraint_violated',
                message: /constraint within of public\.fk/,
              });
            }
          });
        },
      );
    });
  });
};
