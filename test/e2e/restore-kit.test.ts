import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Scene, withScene } from '../faults/support/scene.js';
import { type ChildOutcome, runChild } from '../support/child.js';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';

const definitions = `
CREATE SCHEMA sales;
CREATE TABLE sales.customers (id serial PRIMARY KEY, name text);
CREATE TABLE sales."or;ders" (id int PRIMARY KEY, customer int CONSTRAINT "key 'of
orders" REFERENCES sales.customers, n int);
CREATE INDEX by_n ON sales."or;ders" (n);
COMMENT ON CONSTRAINT "key 'of
orders" ON sales."or;ders" IS 'whose it is'; COMMENT ON INDEX sales.by_n IS 'sorted';
CREATE TABLE plain (id int PRIMARY KEY, note text);
CREATE TABLE sales.parts (id int, customer int) PARTITION BY RANGE (id);
CREATE TABLE sales.parts_1 PARTITION OF sales.parts FOR VALUES FROM (0) TO (100);
CREATE MATERIALIZED VIEW sales.totals AS SELECT count(*) AS n FROM sales."or;ders";
`;
const rows = `
INSERT INTO sales.customers (name) SELECT 'c' || i FROM generate_series(1, 10) i;
INSERT INTO sales."or;ders" SELECT i, i % 10 + 1, i FROM generate_series(1, 50) i;
INSERT INTO plain SELECT i, 'x' FROM generate_series(1, 5) i; INSERT INTO sales.parts SELECT i, i FROM generate_series(1, 9) i;
REFRESH MATERIALIZED VIEW sales.totals;
`;

const ask = (scene: Scene, database: string, sql: string): Promise<string> => scene.cluster.psql(database, sql);

const runKit = (scene: Scene, id: string, target: string, ...args: readonly string[]): Promise<ChildOutcome> =>
  runChild(join(scene.directoryOf(id), 'restore.sh'), ['-d', scene.cluster.uri(target), ...args]);

const expectDone = ({ status, stderr }: ChildOutcome): void => assert.equal(status, 0, stderr);

const expectRefusal = ({ status, stderr }: ChildOutcome, message: RegExp): void => {
  assert.equal(status, 1, stderr);
  assert.match(stderr, message);
};

/** `fn` with an empty database that `sql` was run in. */
const withTarget = (scene: Scene, sql: string, fn: (target: string) => Promise<void>): Promise<void> =>
  withDatabase(scene.cluster, async (target) => {
    if (sql !== '') await ask(scene, target, sql);
    await fn(target);
  });

const counts = 'SELECT (SELECT count(*) FROM sales.customers), (SELECT count(*) FROM sales."or;ders"), (SELECT count(*) FROM plain)';

describe('restore.sh of a part of a database', () => {
  test('rows alone: loaded past foreign keys, which are checked afterwards', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp(['--data-only']);
      await withTarget(scene, definitions, async (target) => {
        expectDone(await runKit(scene, id, target, '-j', '3'));
        assert.equal(await ask(scene, target, counts), '10|50|5');
        assert.equal(await ask(scene, target, "INSERT INTO sales.customers (name) VALUES ('n') RETURNING id"), '11');
        assert.equal(await ask(scene, target, 'SELECT n FROM sales.totals'), '50');
        expectRefusal(await runKit(scene, id, target), /error: rows cannot be loaded .*sales\.customers holds rows already/);
        assert.equal(await ask(scene, target, counts), '11|50|5');
      });
      await withTarget(scene, '', async (target) => {
        expectRefusal(await runKit(scene, id, target), /"sales\.customers" does not exist|schema "sales" does not exist/);
      });
    }));

  test('rows without a referent are an error that names the constraint, of a partition tree, too', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp(['--data-only', '-t', 'sales."or;ders"', '-t', 'sales.parts*']);
      await withTarget(scene, definitions, async (target) => {
        expectRefusal(
          await runKit(scene, id, target),
          /error: rows were loaded, and some have no referent: constraint "key 'of orders" of sales\."or;ders"\n/,
        );
        assert.equal(await ask(scene, target, counts), '0|50|0');
      });
      const keyed = `${definitions} ALTER TABLE sales.parts ADD CONSTRAINT of_parts FOREIGN KEY (customer) REFERENCES sales.customers;`;
      await withTarget(scene, keyed, async (target) => {
        await ask(scene, target, "INSERT INTO sales.customers (name) SELECT 'c' FROM generate_series(1, 5)");
        expectRefusal(await runKit(scene, id, target, '-r'), /some have no referent: .*constraint of_parts of sales\.parts\n/);
      });
      await withTarget(scene, keyed, async (target) => {
        await ask(scene, target, "INSERT INTO sales.customers (name) SELECT 'c' FROM generate_series(1, 10)");
        expectDone(await runKit(scene, id, target));
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM sales.parts'), '9');
      });
    }));

  test('rows alone: triggers that would change them are refused', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp(['--data-only', '-t', 'plain']);
      const trigger = `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.note = ''changed''; RETURN new; END';
        CREATE TRIGGER noted BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION note();`;
      await withTarget(scene, definitions + trigger, async (target) => {
        await ask(scene, target, 'ALTER TABLE plain ENABLE ALWAYS TRIGGER noted');
        expectRefusal(await runKit(scene, id, target), /trigger noted of public\.plain would fire/);
        await ask(scene, target, 'ALTER TABLE plain ENABLE TRIGGER noted');
        const role = uniqueDatabaseName('loader');
        await ask(scene, target, `CREATE ROLE ${role} LOGIN; GRANT ALL ON plain TO ${role}`);
        const uri = `postgresql://${role}@127.0.0.1:${scene.cluster.port}/${target}`;
        const outcome = await runChild(join(scene.directoryOf(id), 'restore.sh'), ['-d', uri]);
        await ask(scene, target, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
        expectRefusal(outcome, /trigger noted of public\.plain would fire/);
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM plain'), '0');
        expectDone(await runKit(scene, id, target));
        assert.equal(await ask(scene, target, 'SELECT DISTINCT note FROM plain'), 'x');
      });
    }));

  test('a schema public that was named is made where it is missing and left alone where it exists', () =>
    withScene(`${definitions} ${rows} COMMENT ON SCHEMA public IS 'ours'; GRANT CREATE ON SCHEMA public TO public;`, async (scene) => {
      const id = await scene.backUp(['-n', 'public']);
      for (const sql of ['', 'DROP SCHEMA public']) {
        await withTarget(scene, sql, async (target) => {
          expectDone(await runKit(scene, id, target));
          assert.equal(await ask(scene, target, 'SELECT count(*) FROM plain'), '5');
          assert.equal(await ask(scene, target, "SELECT obj_description('public'::regnamespace, 'pg_namespace')"), 'ours');
          assert.equal(await ask(scene, target, "SELECT has_schema_privilege('pg_monitor', 'public', 'CREATE')"), 't');
        });
      }
    }));

  test('a foreign key that is left out takes its comment along, and nothing else', () =>
    withScene(definitions + rows, async (scene) => {
      for (const options of [
        ['-t', 'sales."or;ders"'],
        ['-T', 'sales.customers', '-T', 'sales.customers_id_seq'],
      ]) {
        const id = await scene.backUp(options);
        await withTarget(scene, options[0] === '-t' ? 'CREATE SCHEMA sales' : '', async (target) => {
          const outcome = await runKit(scene, id, target);
          expectDone(outcome);
          assert.match(outcome.stderr, /left out, since it needs what is not in this backup: .* FK CONSTRAINT sales/);
          assert.equal(
            await ask(
              scene,
              target,
              "SELECT count(*), obj_description('sales.by_n'::regclass, 'pg_class') FROM sales.\"or;ders\" WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f')",
            ),
            '50|sorted',
          );
        });
      }
    }));

  test('definitions alone, and sections one after the other', () =>
    withScene(definitions + rows, async (scene) => {
      const indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname IN ('public', 'sales')";
      const schemaOnly = await scene.backUp(['--schema-only']);
      await withTarget(scene, '', async (target) => {
        expectDone(await runKit(scene, schemaOnly, target));
        assert.equal(await ask(scene, target, counts), '0|0|0');
        assert.equal(await ask(scene, target, indexes), '4');
      });
      const ids: string[] = [];
      for (const section of ['pre-data', 'data', 'post-data']) ids.push(await scene.backUp(['--section', section]));
      const [preData = '', data = '', postData = ''] = ids;
      await withTarget(scene, '', async (target) => {
        expectDone(await runKit(scene, preData, target));
        assert.equal(await ask(scene, target, indexes), '0');
        expectDone(await runKit(scene, data, target));
        expectDone(await runKit(scene, postData, target));
        assert.equal(await ask(scene, target, counts), '10|50|5');
        assert.equal(await ask(scene, target, indexes), '4');
        assert.equal(await ask(scene, target, 'SELECT n FROM sales.totals'), '50');
        assert.equal(await ask(scene, target, "INSERT INTO sales.customers (name) VALUES ('n') RETURNING id"), '11');
      });
    }));
});
