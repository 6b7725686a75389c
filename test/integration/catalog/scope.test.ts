import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type BackupOptions, backup, type SelectionOptions, show } from 'dbbackup';
import { runChildOrThrow } from '../../support/child.js';
import type { Cluster } from '../../support/cluster.js';
import { uniqueDatabaseName } from '../../support/database.js';
import { isErrorWith } from '../../support/errors.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';

/** Names that patterns, shells and lists stumble over, of every kind of relation, in several schemas. */
const sql = `
CREATE SCHEMA app; CREATE SCHEMA "App"; CREATE SCHEMA "a.b"; CREATE SCHEMA "x$y"; CREATE SCHEMA "dash-ed schema";
CREATE TABLE orders (id serial PRIMARY KEY);
CREATE TABLE "Orders" (id int); CREATE TABLE "or*ers" (id int); CREATE TABLE "a|b" (id int); CREATE TABLE a (id int); CREATE TABLE b (id int);
CREATE TABLE "a.b" (id int); CREATE TABLE "a""b" (id int); CREATE TABLE "x$1" (id int); CREATE TABLE "two\nlines" (id int); CREATE TABLE "ümläut" (id int);
CREATE TABLE "tab[1]" (id int); CREATE TABLE "back\\slash" (id int); CREATE TABLE "per%cent" (id int); CREATE TABLE " space " (id int);
CREATE TABLE app.orders (id int GENERATED ALWAYS AS IDENTITY, note text); CREATE TABLE "App".orders (id bigserial); CREATE TABLE "a.b".c (id int);
CREATE TABLE "x$y"."t$" (id int); CREATE TABLE "dash-ed schema"."dash-ed table" (id int);
CREATE SEQUENCE app.free_seq; CREATE SEQUENCE app.orders_free; ALTER SEQUENCE app.orders_free OWNED BY app.orders.note;
CREATE VIEW app.some_view AS SELECT * FROM orders; CREATE MATERIALIZED VIEW app.some_mat AS SELECT * FROM orders;
CREATE TABLE app.tree (id int) PARTITION BY RANGE (id); CREATE TABLE app.tree_low PARTITION OF app.tree FOR VALUES FROM (0) TO (10);
CREATE TABLE public.tree_high PARTITION OF app.tree FOR VALUES FROM (10) TO (20);
CREATE UNLOGGED TABLE app.fleeting (id int); CREATE TABLE app.parent (id int); CREATE TABLE app.child () INHERITS (app.parent);
INSERT INTO app.fleeting SELECT generate_series(1, 3); INSERT INTO orders SELECT FROM generate_series(1, 5);
SELECT lo_from_bytea(0, 'x');
`;

type Arguments = readonly string[];

/** pg_dump's options and ours. */
const toArguments = ({ tables, schemas, excludedTables, excludedSchemas, excludedTableData, sections }: SelectionOptions): Arguments => [
  ...(tables ?? []).map((pattern) => `--table=${pattern}`),
  ...(schemas ?? []).map((pattern) => `--schema=${pattern}`),
  ...(excludedTables ?? []).map((pattern) => `--exclude-table=${pattern}`),
  ...(excludedSchemas ?? []).map((pattern) => `--exclude-schema=${pattern}`),
  ...(excludedTableData ?? []).map((pattern) => `--exclude-table-data=${pattern}`),
  ...(sections ?? []).map((section) => `--section=${section}`),
];

const selections: readonly SelectionOptions[] = [
  {},
  { tables: ['orders'] },
  { tables: ['ORDERS'] },
  { tables: ['"Orders"'] },
  { tables: ['"or*ers"'] },
  { tables: ['or*'] },
  { tables: ['*.orders'] },
  { tables: ['app.*'] },
  { tables: ['"App".*', 'public.a|b'] },
  { tables: ['"a|b"'] },
  { tables: ['"a.b"'] },
  { tables: ['"a.b".*'] },
  { tables: ['?'] },
  { tables: ['"a""b"', 'x$1', '"x$y".t$'] },
  { tables: ['two*', 'üml*', '"tab[1]"', 'tab[[]1]'] },
  { tables: ['"back\\slash"', '"per%cent"', '" space "'] },
  { tables: ['"dash-ed schema"."dash-ed table"'] },
  { tables: ['app.tree'] },
  { tables: ['app.tree_low', '*.tree_h*'] },
  { tables: ['app.some*', 'app.free_seq'] },
  { tables: ['app.orders_id_seq', 'orders'] },
  { tables: ['*.*'], excludedTables: ['*.or*'] },
  { tables: ['app.o*'], excludedTables: ['*_seq'] },
  { schemas: ['app'] },
  { schemas: ['"App"', '"a.b"'] },
  { schemas: ['a*'], excludedSchemas: ['app'] },
  { schemas: ['*'] },
  { schemas: ['app'], tables: ['orders'] },
  { schemas: ['app'], excludedTables: ['app.orders', 'app.parent'] },
  { excludedSchemas: ['app', 'x$y'] },
  { excludedTables: ['orders', 'app.tree*'] },
  { excludedTables: ['*.*_seq', 'matches nothing'] },
  { excludedTableData: ['app.*', 'or*'] },
  { schemas: ['public'] },
  { sections: ['data'] },
  { sections: ['pre-data', 'post-data'] },
];

describe('what a selection means', () => {
  let cluster: Cluster;
  const database = uniqueDatabaseName('scope');

  before(async () => {
    cluster = await sharedCluster();
    await cluster.createDatabase(database);
    await cluster.psql(database, sql);
  });
  after(() => cluster.dropDatabase(database));

  const listDump = async (args: Arguments, section: string): Promise<readonly string[]> =>
    withTemporaryDirectory(async (directory) => {
      const path = join(directory, 'dump');
      const env = { ...process.env, ...cluster.env(database), PGCLIENTENCODING: 'UTF8' };
      await runChildOrThrow(join(cluster.binDir, 'pg_dump'), ['-Fc', ...args, `--file=${path}`], { env });
      return (
        await runChildOrThrow(join(cluster.binDir, 'pg_restore'), ['--list', ...(section === '' ? [] : [`--section=${section}`]), path])
      )
        .split('\n')
        .filter((line) => /^\d+; \d+ \d+ /.test(line));
    });

  const oidsOf = (lines: readonly string[], type: RegExp): readonly number[] =>
    lines
      .filter((line) => type.test(line.replace(/^\d+; \d+ \d+ /, '')))
      .map((line) => Number(/^\d+; \d+ (\d+) /.exec(line)?.[1]))
      .sort((a, b) => a - b);

  const save = async (outputDir: string, selection: SelectionOptions, options: Partial<BackupOptions> = {}) => {
    const report = await backup({ connection: { database: cluster.uri(database) }, outputDir, jobs: 1, selection, ...options });
    const { manifest } = await show({ id: report.id, outputDir });
    const [saved] = manifest.databases;
    assert.ok(saved !== undefined);
    const archive = join(outputDir, report.id, saved.schema.path);
    await runChildOrThrow('zstd', ['-dq', archive, '-o', `${archive}.dump`]);
    const lines = (await runChildOrThrow(join(cluster.binDir, 'pg_restore'), ['--list', `${archive}.dump`])).split('\n');
    return { report, manifest, saved, lines };
  };

  for (const selection of selections) {
    test(`is what pg_dump ${toArguments(selection).join(' ')} means`, () =>
      withTemporaryDirectory(async (outputDir) => {
        const lines = await listDump(
          [
            ...toArguments(selection),
            ...(selection.tables === undefined ? [] : ['--exclude-table=pg_*.*', '--exclude-table=information_schema.*']),
            ...(selection.schemas === undefined ? [] : ['-N', 'pg_*', '-N', 'information_schema']),
          ],
          '',
        );
        const { saved, lines: own } = await save(outputDir, selection);
        const withRows = saved.relations.filter(({ segments }) => segments.length > 0).map(({ oid }) => oid);
        const sorted = (oids: readonly number[]): readonly number[] => [...oids].sort((a, b) => a - b);
        // Of TABLE DATA the list tells the table's OID.
        assert.deepEqual(sorted(withRows), oidsOf(lines, /^TABLE DATA /), 'tables with rows');
        // Their entries have no OID; which they are is told by the definitions below.
        assert.equal(saved.sequences.length, oidsOf(lines, /^SEQUENCE SET /).length, 'values of sequences');
        assert.deepEqual(
          saved.largeObjects !== null,
          lines.some((line) => /^\d+; \d+ \d+ BLOBS /.test(line)),
          'large objects',
        );
        const definitions = /^(?!TABLE DATA |SEQUENCE SET |MATERIALIZED VIEW DATA |BLOBS? |BLOB METADATA |ENCODING|STDSTRINGS|SEARCHPATH)/;
        assert.deepEqual(
          oidsOf(own, definitions).filter((oid) => oid >= 16384),
          oidsOf(lines, definitions).filter((oid) => oid >= 16384),
          'definitions',
        );
        assert.deepEqual(
          saved.materializedViews.length,
          lines.filter((line) => line.includes('MATERIALIZED VIEW DATA')).length,
          'materialised views to refresh',
        );
      }));
  }

  test('a pattern that matches nothing or is none is an error that names it', () =>
    withTemporaryDirectory(async (outputDir) => {
      const fail = (selection: SelectionOptions, message: RegExp): Promise<void> =>
        assert.rejects(save(outputDir, selection), isErrorWith('usage', message));
      await fail({ tables: ['orders', 'no_such_table'] }, /no table matches the pattern "no_such_table"/);
      // It is there, but the search path does not show it.
      await fail({ tables: ['tree_low'] }, /no table matches the pattern "tree_low"/);
      await fail({ schemas: ['no_such'] }, /no schema matches the pattern "no_such"/);
      await fail({ tables: ['pg_class'] }, /no table matches/);
      await fail({ tables: ['a('] }, /"a\(" is no regular expression/);
      await fail({ tables: ['other.public.orders'] }, /names another database/);
      await fail({ isSchemaOnly: true, isDataOnly: true }, /schema only and data only/);
    }));

  test('rows of unlogged tables and large objects can be left out and kept', () =>
    withTemporaryDirectory(async (outputDir) => {
      const { saved } = await save(outputDir, {}, { isUnloggedDataLeftOut: true, hasLargeObjects: false });
      assert.equal(saved.relations.find(({ name }) => name === 'fleeting')?.segments.length, 0);
      assert.equal(saved.largeObjects, null);
      const kept = await save(outputDir, { tables: ['orders'] }, { hasLargeObjects: true });
      assert.notEqual(kept.saved.largeObjects, null);
    }));

  test('the manifest records the selection', () =>
    withTemporaryDirectory(async (outputDir) => {
      const { manifest, report } = await save(outputDir, { tables: ['or*'], excludedTableData: ['orders'] });
      assert.deepEqual(manifest.options.selection, {
        tables: ['or*'],
        excludedTables: [],
        excludedTableData: ['orders'],
        schemas: [],
        excludedSchemas: [],
        sections: ['pre-data', 'data', 'post-data'],
        isUnloggedDataLeftOut: false,
      });
      assert.equal(report.rowCount, 0);
      assert.equal((await save(outputDir, {})).manifest.options.selection, null);
      assert.ok((await readFile(report.manifestPath, 'utf8')).includes('"selection"'));
    }));
});
