import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { expectFailure, expectSuccess } from '../faults/support/failure.js';
import { type Scene, withScene } from '../faults/support/scene.js';
import { runChild } from '../support/child.js';
import { runCli } from '../support/cli.js';
import { withDatabase } from '../support/database.js';

const sql = `
CREATE SCHEMA sales; CREATE SCHEMA hr;
CREATE TYPE sales.state AS ENUM ('new', 'paid');
CREATE FUNCTION sales.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE sales.customers (id serial PRIMARY KEY, name text);
CREATE TABLE sales.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES sales.customers, state sales.state DEFAULT 'new', n int CHECK (sales.twice(n) > 0));
CREATE INDEX orders_twice ON sales.orders ((sales.twice(n)));
COMMENT ON TABLE sales.orders IS 'what was ordered'; COMMENT ON INDEX sales.orders_twice IS 'half of it';
CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER touched BEFORE UPDATE ON sales.orders FOR EACH ROW EXECUTE FUNCTION sales.touch();
CREATE TABLE hr.people (id int PRIMARY KEY); CREATE VIEW hr.names AS SELECT * FROM hr.people;
CREATE TABLE plain (id int PRIMARY KEY, note text);
CREATE MATERIALIZED VIEW sales.totals AS SELECT count(*) AS n FROM sales.orders;
INSERT INTO sales.customers (name) SELECT 'c' || i FROM generate_series(1, 10) i;
INSERT INTO sales.orders (customer, n) SELECT i % 10 + 1, i FROM generate_series(1, 100) i;
INSERT INTO hr.people SELECT generate_series(1, 7); INSERT INTO plain SELECT i, 'x' FROM generate_series(1, 5) i;
REFRESH MATERIALIZED VIEW sales.totals;
SELECT lo_from_bytea(0, 'large');
`;

/** What stands in a database: relations with rows, indexes, constraints, triggers, comments, values of sequences. */
const inventory = `
SELECT string_agg(line, ',' ORDER BY line COLLATE "C") FROM (
  SELECT c.relkind::text || ':' || c.oid::regclass AS line FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('sales', 'hr', 'public') AND relkind <> 'c'
  UNION ALL SELECT contype::text || ':' || conname FROM pg_constraint WHERE conrelid <> 0 AND connamespace <> 11
  UNION ALL SELECT 'trigger:' || tgname FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT 'comment:' || description FROM pg_description WHERE classoid = 'pg_class'::regclass AND objoid >= 16384
) lines`;

const count = (scene: Scene, database: string, table: string): Promise<string> =>
  scene.cluster.psql(database, `SELECT count(*) FROM ${table}`);

describe('a part of a backup is restored', () => {
  test('a table brings its indexes, constraints, sequence and comment, and what it needs', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        const outcome = await scene.run([
          'restore',
          'single',
          id,
          '--target-db',
          scene.cluster.uri(target),
          '-t',
          'sales.orders',
          '--check',
        ]);
        // The foreign key is left out, which is worth a warning.
        assert.equal(outcome.status, 3, outcome.stderr);
        assert.match(outcome.stderr, /warning: FK CONSTRAINT sales orders orders_customer_fkey \S+ is left out/);
        assert.equal(
          await scene.cluster.psql(target, inventory),
          [
            'S:sales.orders_id_seq',
            'c:orders_n_check',
            'comment:half of it',
            'comment:what was ordered',
            'i:sales.orders_pkey',
            'i:sales.orders_twice',
            'p:orders_pkey',
            'r:sales.orders',
            'trigger:touched',
          ].join(','),
        );
        assert.equal(await count(scene, target, 'sales.orders'), '100');
        assert.equal(await scene.cluster.psql(target, "INSERT INTO sales.orders (n) VALUES (1) RETURNING id || ' ' || state"), '101 new');
        assert.equal(await scene.cluster.psql(target, 'SELECT count(*) FROM pg_largeobject_metadata'), '0');
      });
    }));

  test('both ends of a foreign key bring it, and a serial its sequence', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        expectSuccess(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '-t', 'sales.orders|customers']));
        const found = await scene.cluster.psql(target, inventory);
        for (const line of ['f:orders_customer_fkey', 'S:sales.customers_id_seq', 'p:customers_pkey'])
          assert.ok(found.split(',').includes(line), found);
        assert.equal(await scene.cluster.psql(target, "INSERT INTO sales.customers (name) VALUES ('new') RETURNING id"), '11');
      });
    }));

  test('schemas, exclusions and rows left out', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target)];
        expectSuccess(await scene.run([...to, '-n', 'hr']));
        assert.equal(await scene.cluster.psql(target, inventory), 'i:hr.people_pkey,p:people_pkey,r:hr.people,v:hr.names');
        assert.equal(await count(scene, target, 'hr.people'), '7');
        // More into the same database: it holds other things only.
        expectSuccess(await scene.run([...to, '-n', 'sales', '--exclude-table-data', 'sales.orders']));
        assert.equal(await count(scene, target, 'sales.orders'), '0');
        assert.equal(await scene.cluster.psql(target, 'SELECT n FROM sales.totals'), '0');
        expectFailure(await scene.run([...to, '-n', 'hr']), { status: 1, code: 'target_not_empty', message: /already holds hr\.people/ });
        expectFailure(await scene.run(to), { status: 1, code: 'target_not_empty', message: /is not empty/ });
      });
      await withDatabase(scene.cluster, async (target) => {
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target)];
        const outcome = await scene.run([...to, '-N', 'sales', '-T', 'hr.people']);
        assert.equal(outcome.status, 3, outcome.stderr);
        assert.match(outcome.stderr, /VIEW hr names \S+ is left out/);
        assert.equal(await scene.cluster.psql(target, inventory), 'i:plain_pkey,p:plain_pkey,r:plain');
        assert.equal(await scene.cluster.psql(target, "SELECT count(*) FROM pg_namespace WHERE nspname = 'sales'"), '0');
        assert.equal(
          await scene.cluster.psql(target, 'SELECT count(*) FROM pg_largeobject_metadata'),
          '1',
          'exclusions leave large objects in',
        );
      });
    }));

  test('sections, one after the other, make the whole', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target)];
        expectSuccess(await scene.run([...to, '--section', 'pre-data']));
        assert.equal(await count(scene, target, 'sales.orders'), '0');
        expectSuccess(await scene.run([...to, '--section', 'data']));
        assert.equal(await count(scene, target, 'sales.orders'), '100');
        expectSuccess(await scene.run([...to, '--section', 'post-data']));
        assert.equal(await scene.cluster.psql(target, inventory), await scene.cluster.psql(scene.database, inventory));
        assert.equal(await scene.cluster.psql(target, 'SELECT n FROM sales.totals'), '100');
      });
      await withDatabase(scene.cluster, async (target) => {
        expectSuccess(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--schema-only']));
        assert.equal(await scene.cluster.psql(target, inventory), await scene.cluster.psql(scene.database, inventory));
        assert.equal(await count(scene, target, 'plain'), '0');
      });
    }));

  test('the list tells what would be done and touches nothing', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp();
      const outcome = expectSuccess(await scene.run(['restore', 'single', id, '--list', '--json', '-t', 'sales.orders']));
      const report = JSON.parse(outcome) as {
        readonly relations: readonly unknown[];
        readonly preData: readonly string[];
        readonly postData: readonly string[];
        readonly rowCount: number;
        readonly sequenceCount: number;
      };
      assert.deepEqual([report.rowCount, report.sequenceCount, report.relations.length], [100, 1, 1]);
      assert.ok(
        report.preData.some((line) => / TABLE sales orders /.test(line)) && report.preData.some((line) => / TYPE sales state /.test(line)),
      );
      assert.ok(report.postData.some((line) => / INDEX sales orders_twice /.test(line)));
      assert.ok(!report.preData.some((line) => /customers/.test(line)));
      expectFailure(await scene.run(['restore', 'single', id, '--list', '-t', 'nothing']), {
        status: 2,
        code: 'usage',
        message: /"nothing"/,
      });
      expectFailure(await scene.run(['restore', 'single', id]), { status: 2, code: 'usage', message: /--target-db/ });
    }));

  test('options that contradict each other are refused before anything is done', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp();
      const restoring = ['restore', 'single', id];
      const target = ['--target-db', scene.cluster.uri('no_such_database')];
      const saving = ['backup', 'single', scene.cluster.uri(scene.database)];
      const refused: readonly (readonly [args: readonly string[], message: RegExp])[] = [
        [[...restoring, '--list', '--create'], /--list does not go with --create/],
        [[...restoring, '--list', '--map-schema', 'hr=x'], /--list does not go with --map-schema/],
        [[...restoring, '--list', ...target, '--check'], /--list does not go with --check/],
        [[...restoring, ...target, '--schema-only', '--check'], /nothing to compare/],
        [[...restoring, ...target, '--section', 'post-data', '--load-via-partition-root'], /nothing goes through a root/],
        [[...restoring, ...target, '--schema-only', '--append'], /--append needs --data-only/],
        [[...restoring, ...target, '--schema-only', '--disable-triggers'], /only with --data-only/],
        [[...restoring, ...target, '--schema-only', '--data-only'], /cannot be used with/],
        [[...restoring, ...target, '--data-only', '--section', 'data'], /cannot be used with/],
        [[...saving, '--schema-only', '--large-objects'], /large objects are rows/],
      ];
      for (const [args, message] of refused) expectFailure(await scene.run(args), { status: 2, code: 'usage', message, hint: /.*/ });
      assert.equal(expectSuccess(await runCli(['list', '--quiet', '--output-dir', scene.repository])).trim(), id, 'no second backup');
    }));

  test('list, and the summary of a restore, tell what is a part', () =>
    withScene(sql, async (scene) => {
      const whole = await scene.backUp();
      const part = await scene.backUp(['-t', 'plain']);
      const listed = expectSuccess(await runCli(['list', '--output-dir', scene.repository])).split('\n');
      assert.match(listed.find((line) => line.startsWith(part)) ?? '', /exact, a part$/);
      assert.match(listed.find((line) => line.startsWith(whole)) ?? '', /exact$/);
      const told = async (id: string, ...options: readonly string[]): Promise<string> => {
        let text = '';
        await withDatabase(scene.cluster, async (target) => {
          text = expectSuccess(
            await runCli(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--output-dir', scene.repository, ...options]),
          );
        });
        return text;
      };
      assert.match(await told(part), /only part +all of a backup of a part of a database/);
      assert.match(await told(whole, '-t', 'plain'), /only part +what was chosen of the backup/);
      assert.doesNotMatch(await told(whole), /only part/);
    }));

  test('a backup of a part restores alone, without the foreign keys that lead out of it', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp(['-t', 'sales.orders']);
      assert.match(expectSuccess(await runCli(['show', id, '--output-dir', scene.repository])), /only part .*-t sales\.orders/s);
      await withDatabase(scene.cluster, async (target) => {
        await scene.cluster.psql(
          target,
          "CREATE SCHEMA sales; CREATE TYPE sales.state AS ENUM ('new', 'paid'); CREATE FUNCTION sales.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'; CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';",
        );
        // Without dbbackup, too.
        const script = await runChild(join(scene.directoryOf(id), 'restore.sh'), ['-d', scene.cluster.uri(target)]);
        assert.equal(script.status, 0, script.stderr);
        assert.equal(await scene.cluster.psql(target, 'SELECT count(*), max(id) FROM sales.orders'), '100|100');
        assert.equal(await scene.cluster.psql(target, 'INSERT INTO sales.orders (n) VALUES (1) RETURNING id'), '101');
        await scene.cluster.psql(target, 'DROP TABLE sales.orders');
        const outcome = await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '-t', '*.*']);
        assert.equal(outcome.status, 3, outcome.stderr);
        assert.match(outcome.stderr, /orders_customer_fkey \S+ is left out/);
        assert.equal(await count(scene, target, 'sales.orders'), '100');
      });
    }));

  test('public, when it was named', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp(['-n', 'public']);
      await withDatabase(scene.cluster, async (target) => {
        expectSuccess(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target)]));
        assert.equal(await count(scene, target, 'plain'), '5');
      });
    }));

  test('a partitioned table without its partitions is worth a warning, in a backup and in a restore', () =>
    withScene(
      `CREATE TABLE tree (id int) PARTITION BY RANGE (id); CREATE TABLE tree_low PARTITION OF tree FOR VALUES FROM (0) TO (10);
       CREATE TABLE tree_high PARTITION OF tree FOR VALUES FROM (10) TO (20); INSERT INTO tree SELECT generate_series(0, 19);`,
      async (scene) => {
        const args = ['backup', 'single', scene.cluster.uri(scene.database)];
        const partial = await scene.run([...args, '-t', 'tree', '-t', 'tree_low']);
        assert.equal(partial.status, 3, partial.stderr);
        assert.match(partial.stderr, /not all partitions of public\.tree are saved/);
        const id = expectSuccess(await scene.run([...args, '-t', 'tree*'])).trim();
        await withDatabase(scene.cluster, async (target) => {
          const outcome = await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '-t', 'tree', '-t', '*low']);
          assert.equal(outcome.status, 3, outcome.stderr);
          assert.match(outcome.stderr, /not all partitions of public\.tree are restored/);
          assert.equal(await count(scene, target, 'tree'), '10');
        });
      },
    ));

  test('a backup of some sections gives those, and says what it lacks', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp(['--schema-only']);
      const before = await scene.backUp(['--section', 'post-data']);
      await withDatabase(scene.cluster, async (target) => {
        const to = ['--target-db', scene.cluster.uri(target)];
        expectFailure(await scene.run(['restore', 'single', before, ...to]), {
          status: 1,
          code: 'definitions_missing',
          message: /post-data/,
        });
        expectFailure(await scene.run(['restore', 'single', id, ...to, '--data-only']), {
          status: 1,
          code: 'definitions_missing',
          message: /no rows/,
        });
        expectSuccess(await scene.run(['restore', 'single', id, ...to]));
        assert.equal(await scene.cluster.psql(target, inventory), await scene.cluster.psql(scene.database, inventory));
        assert.equal(await count(scene, target, 'sales.orders'), '0');
      });
    }));

  test("a full backup keeps a foreign key to an extension's own table", () =>
    withScene('CREATE TABLE base (id int);', async (scene) => {
      await scene.cluster.psql(
        scene.database,
        `CREATE EXTENSION lo; CREATE TABLE codes (id int PRIMARY KEY); INSERT INTO codes VALUES (1); CREATE TABLE uses (c int CONSTRAINT to_codes REFERENCES codes);
ALTER EXTENSION lo ADD TABLE codes;`,
      );
      const id = await scene.backUp();
      const shown = JSON.parse(expectSuccess(await runCli(['show', id, '--json', '--output-dir', scene.repository]))) as {
        readonly databases: readonly { readonly foreignKeys: readonly { readonly isOutward: boolean }[] }[];
      };
      assert.deepEqual(
        shown.databases[0]?.foreignKeys.map(({ isOutward }) => isOutward),
        [false],
      );
      await withDatabase(scene.cluster, async (target) => {
        // The extension's script makes no such table here: what counts is that the key is tried, not left out.
        const outcome = await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target)]);
        assert.doesNotMatch(outcome.stderr, /left out/);
        assert.match(outcome.stderr, /codes/);
      });
    }));

  const tree = `CREATE TABLE ev (id int) PARTITION BY RANGE (id); CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM (0) TO (10); CREATE INDEX ON ev (id); INSERT INTO ev VALUES (1), (2);
CREATE TABLE log (id int); CREATE VIEW logv AS SELECT * FROM log; CREATE VIEW logw AS SELECT * FROM logv; CREATE TABLE par (a int); CREATE TABLE chi (b int) INHERITS (par); CREATE TABLE idn (i int GENERATED ALWAYS AS IDENTITY, n int);
CREATE SCHEMA x; CREATE TABLE x.t (id int);`;

  test('a partition stands without its parent, an identity with its sequence, no schema means nothing', () =>
    withScene(tree, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        const outcome = await scene.run([
          'restore',
          'single',
          id,
          '--target-db',
          scene.cluster.uri(target),
          '-T',
          'ev',
          '-T',
          'idn_i_seq',
          '-T',
          'par',
        ]);
        assert.equal(outcome.status, 3, outcome.stderr);
        assert.match(outcome.stderr, /TABLE ATTACH public ev_1 \S+ is left out/);
        assert.match(outcome.stderr, /TABLE public chi \S+ is left out/);
        assert.equal(await count(scene, target, 'ev_1'), '2');
        assert.equal(await scene.cluster.psql(target, 'INSERT INTO idn (n) VALUES (1) RETURNING i'), '1');
      });
      await withDatabase(scene.cluster, async (target) => {
        await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '-n', 'x', '-N', 'x']);
        assert.equal(await scene.cluster.psql(target, inventory), '');
      });
    }));

  test('backups of a part that lead out of it by a parent or a query restore without', () =>
    withScene(tree, async (scene) => {
      const partition = await scene.backUp(['-t', 'ev_1']);
      await withDatabase(scene.cluster, async (target) => {
        const outcome = await scene.run(['restore', 'single', partition, '--target-db', scene.cluster.uri(target)]);
        assert.equal(outcome.status, 3, outcome.stderr);
        assert.match(outcome.stderr, /TABLE ATTACH public ev_1 \S+ is left out: public\.ev is not restored/);
        assert.equal(await count(scene, target, 'ev_1'), '2');
      });
      const saved = await scene.run(['backup', 'single', scene.cluster.uri(scene.database), '-T', 'log']);
      assert.equal(saved.status, 3, saved.stderr);
      assert.match(saved.stderr, /public\.logv reads public\.log, which is not saved/);
      const id = saved.stdout.trim();
      await withDatabase(scene.cluster, async (target) => {
        const outcome = await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target)]);
        assert.equal(outcome.status, 3, outcome.stderr);
        assert.match(outcome.stderr, /VIEW public logv \S+ is left out: public\.log is not restored/);
        assert.match(outcome.stderr, /VIEW public logw \S+ is left out/);
        assert.equal(await count(scene, target, 'ev'), '2');
      });
    }));
});
