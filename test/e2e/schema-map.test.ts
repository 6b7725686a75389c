import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { expectFailure, expectSuccess } from '../faults/support/failure.js';
import { withScene } from '../faults/support/scene.js';
import { withDatabase } from '../support/database.js';

const sql = `
CREATE SCHEMA shop; CREATE SCHEMA "Other one";
CREATE TABLE shop.orders (id serial PRIMARY KEY, n int CHECK (n > 0)); INSERT INTO shop.orders (n) SELECT generate_series(1, 10);
CREATE VIEW shop.big AS SELECT * FROM shop.orders WHERE n > 5; CREATE MATERIALIZED VIEW "Other one".m AS SELECT count(*) FROM shop.big;
CREATE FUNCTION shop.atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM shop.orders; END;
CREATE TABLE "Other one".t (id int REFERENCES shop.orders, next bigint DEFAULT nextval('shop.orders_id_seq'));
CREATE VIEW "Other one".of AS SELECT 'shop.orders'::regclass AS r; CREATE TABLE shopping (note text DEFAULT 'workshop.x');
`;

/** What makes a renaming unsafe, and how it is told. */
const unsafe: readonly (readonly [sql: string, message: RegExp, isLate?: boolean])[] = [
  ["CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM shop.orders'", /function (public\.)?f\(\) mentions it/],
  [
    'CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS \'BEGIN RETURN (SELECT 1 FROM "shop".orders); END\'',
    /function (public\.)?f\(\) mentions it/,
  ],
  ["CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = shop AS 'SELECT 1'", /function (public\.)?f\(\) has a setting/],
  ["CREATE VIEW v AS SELECT nextval('shop.orders_id_seq'::text::regclass)", /view (public\.)?v mentions it in a string/],
  [
    "CREATE TABLE d (id regclass DEFAULT to_regclass('shop.orders'))",
    /default value for column id of table (public\.)?d mentions it in a string/,
  ],
  [
    "CREATE FUNCTION f(a text DEFAULT 'shop.orders') RETURNS int LANGUAGE sql AS 'SELECT 1'",
    /function (public\.)?f\(text\) mentions it in a string/,
  ],
  [
    "CREATE FUNCTION f() RETURNS regclass LANGUAGE sql BEGIN ATOMIC SELECT to_regclass('shop.orders'); END",
    /function (public\.)?f\(\) mentions it in a string/,
  ],
  ["CREATE DOMAIN d AS regclass DEFAULT to_regclass('shop.orders')", /type (public\.)?d mentions it in a string/],
  ["CREATE DOMAIN d AS regclass CHECK (VALUE <> to_regclass('shop.orders'))", /constraint d_check .*mentions it in a string/],
  [
    "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER noted BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION t('shop.log')",
    /trigger noted on table shop\.orders mentions it in a string/,
    true,
  ],
  [
    `CREATE POLICY own ON shop.orders USING (to_regclass('"shop".x') IS NULL)`,
    /policy own on table shop\.orders mentions it in a string/,
    true,
  ],
  [
    "CREATE POLICY own ON shop.orders FOR INSERT WITH CHECK (to_regclass('shop.x') IS NULL)",
    /policy own on table shop\.orders mentions it in a string/,
    true,
  ],
  [
    "CREATE RULE r AS ON INSERT TO shop.orders DO ALSO SELECT to_regclass('shop.x')",
    /rule r on table shop\.orders mentions it in a string/,
    true,
  ],
  ["CREATE INDEX i ON shop.orders (n) WHERE n::text <> 'shop.x'", /index (shop\.)?i mentions it in a string/, true],
  ["CREATE STATISTICS s ON (n::text || 'shop.x') FROM shop.orders", /statistics object (public\.)?s mentions it in a string/, true],
];

describe('schemas are renamed by a restore', () => {
  test('with all that is in them', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target)];
        expectSuccess(await scene.run([...to, '--map-schema', 'shop=store "2"', '--map-schema', 'Other one=other', '--check']));
        assert.equal(await scene.cluster.psql(target, `SELECT count(*), "store ""2""".atomic() FROM "store ""2""".big`), '5|10');
        assert.equal(await scene.cluster.psql(target, `INSERT INTO "store ""2""".orders (n) VALUES (1) RETURNING id`), '11');
        assert.equal(await scene.cluster.psql(target, 'SELECT count FROM other.m'), '5');
        assert.equal(await scene.cluster.psql(target, "SELECT count(*) FROM pg_namespace WHERE nspname IN ('shop', 'Other one')"), '0');
      });
    }));

  test('beside what the target holds', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '-n', 'shop'];
        expectSuccess(await scene.run([...to, '--map-schema', 'shop=copy1']));
        expectSuccess(await scene.run([...to, '--map-schema', 'shop=copy2']));
        assert.equal(
          await scene.cluster.psql(target, 'SELECT (SELECT count(*) FROM copy1.orders) + (SELECT count(*) FROM copy2.big)'),
          '15',
        );
        expectFailure(await scene.run([...to, '--map-schema', 'shop=copy2']), {
          status: 1,
          code: 'target_exists',
          message: /schema "copy2" exists/,
        });
        await scene.cluster.psql(target, 'CREATE SCHEMA shop');
        expectFailure(await scene.run([...to, '--map-schema', 'shop=copy3']), {
          status: 1,
          code: 'target_exists',
          message: /schema "shop" exists/,
        });
      });
    }));

  test('unless something mentions one in text', () =>
    withScene('', async (scene) => {
      for (const [more, message, isLate = false] of unsafe) {
        await scene.cluster.psql(
          scene.database,
          `DROP SCHEMA IF EXISTS shop, "Other one" CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${sql}; ${more}`,
        );
        const id = await scene.backUp();
        await withDatabase(scene.cluster, async (target) => {
          const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--map-schema', 'shop=store'];
          expectFailure(await scene.run(to), { status: 1, code: 'rename_unsafe', message });
          // What comes after the rows can be asked only then.
          assert.equal(await scene.cluster.psql(target, 'SELECT count(*) FROM shop.orders'), isLate ? '10' : '0', more);
        });
      }
    }));

  test('or the options make no sense', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        const refuse = async (options: readonly string[], message: RegExp): Promise<void> =>
          void expectFailure(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), ...options]), {
            status: 2,
            code: 'usage',
            message,
          });
        await refuse(['--map-schema', 'nothing=store'], /no schema "nothing"/);
        await refuse(['--map-schema', 'shop=Other one'], /itself holds a schema/);
        await refuse(['--map-schema', 'shop=a', '--map-schema', 'Other one=a'], /one name/);
        await refuse(['--map-schema', 'shop'], /OLD=NEW/);
        await refuse(['--map-schema', 'shop=store', '--schema-only'], /all sections/);
        await refuse(['--map-schema', 'shop=store', '--clean', '--yes'], /too late/);
      });
    }));
});
