import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { backupCluster, DbbackupError, restore, restoreCluster } from 'dbbackup';
import { runChildOrThrow } from '../support/child.js';
import { rootDir } from '../support/cli.js';
import { type Cluster, withCluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { findServer } from '../support/postgres-programs.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { compareLines } from './image.js';
import { backUp, restoreAndCompare, restoreByScriptAndCompare } from './prove.js';

const label = "it''s \\\\ a label";

/** One object of each kind that carries a label. */
const sql = `
CREATE SCHEMA s; CREATE TABLE s.t (id int, note text); INSERT INTO s.t VALUES (1, 'row'); CREATE VIEW s.v AS SELECT * FROM s.t;
CREATE MATERIALIZED VIEW s.m AS SELECT * FROM s.t; CREATE SEQUENCE s.q; CREATE DOMAIN s.d AS int; CREATE TYPE s.e AS ENUM ('a');
CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE PROCEDURE s.p() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE s.a(int) (SFUNC = int4pl, STYPE = int); SELECT lo_from_bytea(4711, 'content'); CREATE PUBLICATION pub;
CREATE TABLE s.parts (id int) PARTITION BY LIST (id); CREATE TABLE s.part PARTITION OF s.parts DEFAULT;
SECURITY LABEL ON SCHEMA s IS E'${label} of a schema'; SECURITY LABEL ON TABLE s.t IS E'${label} of a table'; SECURITY LABEL ON COLUMN s.t.note IS 'of a column';
SECURITY LABEL ON VIEW s.v IS 'of a view'; SECURITY LABEL ON MATERIALIZED VIEW s.m IS 'of a materialised view'; SECURITY LABEL ON SEQUENCE s.q IS 'of a sequence';
SECURITY LABEL ON DOMAIN s.d IS 'of a domain'; SECURITY LABEL ON TYPE s.e IS 'of a type'; SECURITY LABEL ON FUNCTION s.f(int) IS 'of a function';
SECURITY LABEL ON PROCEDURE s.p() IS 'of a procedure'; SECURITY LABEL ON AGGREGATE s.a(int) IS 'of an aggregate';
SECURITY LABEL FOR tests ON LARGE OBJECT 4711 IS E'${label} of a large object'; SECURITY LABEL ON PUBLICATION pub IS 'of a publication';
SECURITY LABEL ON TABLE s.part IS 'of a partition'; SECURITY LABEL ON LANGUAGE plpgsql IS 'of a language';
`;
/** All but the language's, of which pg_dump says nothing, since every database has it. */
const labelCount = 14;

const readLabels = async (cluster: Cluster, database: string): Promise<readonly string[]> =>
  (
    await cluster.psql(database, 'SELECT json_build_array(objtype, objname, provider, label) FROM pg_seclabels ORDER BY objtype, objname')
  ).split('\n');

const { version } = findServer();

/** Runs `fn` with the settings of a server that loads the provider. */
const withProvider = (fn: (settings: Readonly<Record<string, string>>, outputDir: string) => Promise<void>): Promise<void> =>
  withTemporaryDirectory(async (base) => {
    const path = join(base, 'label-provider.so');
    const source = join(rootDir, 'test/oracle/label-provider.c');
    await runChildOrThrow('gcc', ['-shared', '-fPIC', '-Wall', '-Wextra', '-Werror', `-DPG_MAJOR=${version}`, '-o', path, source]);
    await runChildOrThrow('chmod', ['-R', 'a+rX', base]);
    await fn({ session_preload_libraries: path }, join(base, 'repository'));
  });

const rejectsWithoutProvider = (run: () => Promise<unknown>): Promise<void> =>
  assert.rejects(run, (error) => error instanceof DbbackupError && /security label provider "tests" is not loaded/.test(error.message));

it('security labels of every kind of object come back, by dbbackup and by restore.sh; a provider that is missing at the target is named', () =>
  withProvider((settings, outputDir) =>
    withCluster(
      async (cluster) => {
        const database = uniqueDatabaseName('labelled');
        await cluster.createDatabase(database);
        await cluster.psql(database, sql);
        const labels = (await readLabels(cluster, database)).filter((line) => !line.includes('of a language'));
        assert.equal(labels.length, labelCount);
        const subject = await backUp(cluster, database, outputDir);
        assert.deepEqual(await restoreAndCompare(subject, cluster), []);
        assert.deepEqual(await restoreByScriptAndCompare(subject, cluster), []);
        const restored = uniqueDatabaseName('relabelled');
        const into = (target: Cluster) =>
          restore({ id: subject.id, outputDir, connection: { database: target.uri(restored) }, isCreating: true });
        await into(cluster);
        assert.deepEqual(compareLines(labels, await readLabels(cluster, restored)), []);
        await withCluster((other) => rejectsWithoutProvider(() => into(other)));
      },
      { settings },
    ),
  ));

it('security labels of roles and databases come back with their cluster', () =>
  withProvider((settings, outputDir) =>
    withCluster(
      async (cluster) => {
        await cluster.psql('postgres', 'CREATE ROLE labelled; CREATE DATABASE labelled');
        await cluster.psql(
          'postgres',
          `SECURITY LABEL ON ROLE labelled IS E'${label} of a role'; SECURITY LABEL ON DATABASE labelled IS 'of a database'`,
        );
        const expected = await readLabels(cluster, 'postgres');
        assert.equal(expected.length, 2);
        const { id } = await backupCluster({ connection: { database: cluster.uri('postgres') }, outputDir });
        const into = (target: Cluster) => restoreCluster({ id, outputDir, connection: { database: target.uri('postgres') } });
        await withCluster(
          async (target) => {
            await into(target);
            assert.deepEqual(await readLabels(target, 'postgres'), expected);
          },
          { settings },
        );
        await withCluster((target) => rejectsWithoutProvider(() => into(target)));
      },
      { settings },
    ),
  ));
