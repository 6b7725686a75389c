import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { introspect } from '#src/catalog/introspect.js';
import type { Catalog, ColumnType, Relation } from '#src/catalog/model.js';
import { prelude } from '#src/catalog/prelude.js';
import { withDatabase } from '../../support/database.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { connectionTo, withSession } from '../native/connections.js';
import { createSample, evilTable, newlineTable } from './sample.js';

const readCatalog = async (
  run: (catalog: Catalog, database: string, ask: (sql: string) => Promise<string>) => Promise<void>,
  setUp = createSample,
): Promise<void> => {
  const cluster = await sharedCluster();
  await withDatabase(cluster, async (database) => {
    await setUp(cluster, database);
    const catalog = await withSession(connectionTo(cluster, database), async (session) => {
      for (const sql of prelude('UTF8')) await session.query(sql);
      await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      return introspect(session);
    });
    await run(catalog, database, (sql) => cluster.psql(database, sql));
  });
};

const find = (catalog: Catalog, name: string): Relation => {
  const relation = catalog.relations.find((each) => each.name === name);
  assert.ok(relation, `${name} is in the catalog`);
  return relation;
};

const typeOf = (catalog: Catalog, column: string): ColumnType => {
  const found = find(catalog, 'types').columns.find(({ name }) => name === column);
  assert.ok(found, `types.${column} is in the catalog`);
  return found.type;
};

describe('introspect', () => {
  it('tells one of everything apart', async () => {
    await readCatalog(async (catalog, database, ask) => {
      assert.deepEqual(
        catalog.relations.map(({ schema, name, kind }) => `${kind} ${schema}.${name}`),
        [
          'r ext.config',
          'r ext.config_all',
          `r public.${evilTable}`,
          'r public.big',
          'r public.child',
          'r public.forgetful',
          'r public.guarded',
          'r public.no_columns',
          'r public.only_generated',
          'r public.parent',
          'p public.tree',
          'r public.tree_high',
          'p public.tree_low',
          'r public.tree_low_a',
          `r public.${newlineTable}`,
          'r public.types',
          'r Ünïcode "schéma".naïve 表',
        ],
      );
      assert.equal(find(catalog, evilTable).quotedName, `public."${evilTable.replaceAll('"', '""')}"`);
      assert.equal(find(catalog, 'naïve 表').quotedName, '"Ünïcode ""schéma"""."naïve 表"');
      assert.deepEqual(
        find(catalog, 'naïve 表').columns.map(({ name, quotedName }) => [name, quotedName]),
        [
          ['ключ', '"ключ"'],
          ['a"b', '"a""b"'],
        ],
      );
      assert.deepEqual(
        find(catalog, newlineTable).columns.map(({ quotedName }) => quotedName),
        ['"col\numn"'],
      );

      const tree = find(catalog, 'tree').oid;
      assert.deepEqual(
        ['tree', 'tree_low', 'tree_low_a', 'tree_high', 'child'].map((name) => find(catalog, name).partitionRootOid),
        [null, tree, tree, tree, null],
      );
      assert.deepEqual([find(catalog, 'tree').fileNode, find(catalog, 'tree').accessMethod, find(catalog, 'tree').heapBytes], [0, null, 0]);
      assert.equal(find(catalog, 'big').accessMethod, 'heap');
      assert.equal(String(find(catalog, 'big').fileNode), await ask("SELECT pg_relation_filenode('big')"));
      assert.equal(String(find(catalog, 'big').heapBytes), await ask("SELECT pg_relation_size('big')"));
      assert.equal(
        String(find(catalog, 'big').toastBytes),
        await ask("SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'big'::regclass"),
      );
      assert.ok(find(catalog, 'big').toastBytes > 1_000_000);
      assert.equal(find(catalog, 'forgetful').isUnlogged, true);
      assert.equal(find(catalog, 'big').isUnlogged, false);
      assert.deepEqual(
        ['config', 'config_all', 'big'].map((name) => find(catalog, name).condition),
        ['WHERE is_own', '', null],
      );
      assert.deepEqual(
        find(catalog, 'child').columns.map(({ name }) => name),
        ['id', 'extra'],
      );
      assert.deepEqual([find(catalog, 'no_columns').columns, find(catalog, 'only_generated').columns], [[], []]);

      assert.deepEqual(
        catalog.sequences.map(({ name, lastValue, isCalled }) => [name, lastValue, isCalled]),
        [
          ['config_seq', '1', false],
          ['reset', '42', false],
          ['types_id_seq', '1', true],
          ['untouched', '7', false],
          ['used', '9223372036854775807', true],
        ],
      );
      assert.deepEqual(
        catalog.materializedViews.map(({ quotedName }) => quotedName),
        ['public.a_late', 'public.z_base', 'public.a_on_z', 'public.b_early'],
      );
      assert.equal(catalog.warnings.length, 1);
      assert.match(catalog.warnings[0] ?? '', /public\.on_hollow .* public\.hollow/);
      assert.equal(catalog.largeObjects?.objectCount, 2);
      assert.equal(catalog.largeObjects?.pageSizeBytes, 2048);
      assert.deepEqual(catalog.database, {
        name: database,
        owner: 'postgres',
        encoding: 'UTF8',
        collate: 'C.UTF-8',
        ctype: 'C.UTF-8',
        localeProvider: 'c',
        icuLocale: null,
        icuRules: null,
        tablespace: 'pg_default',
      });
      assert.equal(String(catalog.server.version), await ask('SHOW server_version_num'));
      assert.equal(catalog.server.systemIdentifier, await ask('SELECT system_identifier FROM pg_control_system()'));
      assert.equal(
        new Date(catalog.server.startedAt).getTime(),
        Number(await ask('SELECT floor(extract(epoch FROM pg_postmaster_start_time()) * 1000)')),
      );
      assert.deepEqual([catalog.server.isStandby, catalog.server.blockSizeBytes], [false, 8192]);
      assert.deepEqual(JSON.parse(JSON.stringify(catalog)), catalog);
    });
  });

  it('looks types through domains, but not the elements of arrays', async () => {
    await readCatalog(async (catalog) => {
      const columns = find(catalog, 'types').columns.map(({ name }) => name);
      assert.deepEqual(
        columns.filter((name) => name === 'dropped' || name === 'twice'),
        [],
      );
      assert.equal(columns.length, 15);
      const seen = columns.map((name) => {
        const { typtype, qualifiedName, isBuiltIn, element } = typeOf(catalog, name);
        return [name, typtype, qualifiedName, isBuiltIn, element === null ? null : `${element.typtype} ${element.qualifiedName}`];
      });
      assert.deepEqual(seen, [
        ['id', 'b', 'pg_catalog.int8', true, null],
        ['a_mood', 'e', 'public.mood', false, null],
        ['moods', 'b', 'public._mood', false, 'e public.mood'],
        ['a_pair', 'c', 'public.pair', false, null],
        ['positive', 'b', 'pg_catalog.int4', true, null],
        ['positives', 'b', 'public._positive', false, 'd public.positive'],
        ['list', 'b', 'pg_catalog._int4', true, 'b pg_catalog.int4'],
        ['class', 'b', 'pg_catalog.regclass', true, null],
        ['attributes', 'b', 'public.hstore', false, null],
        ['label', 'b', 'public.citext', false, null],
        ['labels', 'b', 'pg_catalog._text', true, 'b pg_catalog.text'],
        ['document', 'b', 'pg_catalog.xml', true, null],
        ['span', 'r', 'public.float_range', false, 'b pg_catalog.float8'],
        ['spans', 'r', 'pg_catalog.tstzrange', true, 'b pg_catalog.timestamptz'],
        ['Select', 'b', 'pg_catalog.int4', true, null],
      ]);
    });
  });

  it('reads an empty database', async () => {
    await readCatalog(
      async (catalog) => {
        assert.deepEqual(
          [catalog.relations, catalog.sequences, catalog.materializedViews, catalog.warnings, catalog.largeObjects],
          [[], [], [], [], null],
        );
      },
      async () => undefined,
    );
  });

  it('gives the locks on sequences back, and reads more relations and sequences than a batch holds', async () => {
    const cluster = await sharedCluster();
    await withDatabase(cluster, async (database) => {
      await cluster.psql(database, "DO $$ BEGIN FOR n IN 1..1203 LOOP EXECUTE format('CREATE TABLE t%s (id serial)', n); END LOOP; END $$");
      await withSession(connectionTo(cluster, database), async (session) => {
        for (const sql of prelude('UTF8')) await session.query(sql);
        await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        const catalog = await introspect(session);
        assert.equal(catalog.relations.length, 1203);
        assert.equal(catalog.sequences.length, 1203);
        assert.equal(new Set(catalog.sequences.map(({ oid }) => oid)).size, 1203);
        const { rows } = await session.query(
          "SELECT count(*) FROM pg_locks JOIN pg_class ON oid = relation WHERE pid = pg_backend_pid() AND relkind = 'S'",
        );
        assert.deepEqual(rows, [['0']]);
      });
    });
  });
});
