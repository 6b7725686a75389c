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
CREATE TABLE "Other one".t (id int REFERENCES shop.orders);
`;

/** What makes a renaming unsafe, and how it is told. */
const unsafe: readonly (readonly [sql: string, message: RegExp])[] = [
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
      for (const [more, message] of unsafe) {
        await scene.cluster.psql(
          scene.database,
          `DROP SCHEMA IF EXISTS shop, "Other one" CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${sql}; ${more}`,
        );
        const id = await scene.backUp();
        await withDatabase(scene.cluster, async (target) => {
          const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--map-schema', 'shop=store'];
          expectFailure(await scene.run(to), { status: 1, code: 'rename_unsafe', message });
          assert.equal(await scene.cluster.psql(target, 'SELECT count(*) FROM shop.orders'), '0', 'no rows were loaded for nothing');
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
