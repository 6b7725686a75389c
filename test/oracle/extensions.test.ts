import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { DbbackupError, restore } from 'dbbackup';
import { runChild, runChildOrThrow } from '../support/child.js';
import { withCluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { withoutConnectionEnv } from '../support/login.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { findNewest } from './newest.js';
import { backUp, restoreAndCompare, restoreByScriptAndCompare } from './prove.js';

/** An extension of the tests' own: its script fills a table, of which only what the user added is saved. */
const files = (version: string, columns: string): Readonly<Record<string, string>> => ({
  'places.control': `default_version = '${version}'\ncomment = 'places'\nrelocatable = false\nschema = places\n`,
  [`places--${version}.sql`]: `
CREATE TABLE known (${columns});
INSERT INTO known (id, name) SELECT n, 'built in ' || n FROM generate_series(1, 100) n;
CREATE TABLE own (id serial, note text);
CREATE TABLE internal (id int PRIMARY KEY);
INSERT INTO internal VALUES (1);
CREATE SEQUENCE numbers;
SELECT pg_catalog.pg_extension_config_dump('known', 'WHERE NOT is_built_in');
SELECT pg_catalog.pg_extension_config_dump('own', '');
SELECT pg_catalog.pg_extension_config_dump('own_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('numbers', '');
`,
});

const columns = 'id int PRIMARY KEY, name text, is_built_in boolean DEFAULT true';

const databaseSql = `
CREATE SCHEMA places; CREATE EXTENSION places;
INSERT INTO places.known SELECT n, 'mine ' || n, false FROM generate_series(1001, 1050) n;
INSERT INTO places.own (note) SELECT 'note ' || n FROM generate_series(1, 20) n;
SELECT setval('places.numbers', 4242);
CREATE TABLE public.refers (id int REFERENCES places.known, note text);
INSERT INTO public.refers VALUES (1, 'to a row of the script'), (1001, 'to a row of mine');
CREATE TABLE public.refers_inside (id int CONSTRAINT inside REFERENCES places.internal); INSERT INTO public.refers_inside VALUES (1);`;

const isDbbackupError = (error: unknown, code: string, pattern: RegExp): boolean => {
  assert.ok(error instanceof DbbackupError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(`${error.message}\n${error.details.object ?? ''}`, pattern);
  return true;
};

const { version, obstacle } = findNewest();

// Only PostgreSQL 18 and newer look for extensions elsewhere than in their own directories.
it(
  'configuration tables of extensions: what the user added is saved, and an extension that is missing or another version at the target is told',
  {
    skip: obstacle ?? false,
  },
  () =>
    withTemporaryDirectory(async (base) => {
      const directory = join(base, 'extension');
      await mkdir(directory);
      const install = async (contents: Readonly<Record<string, string>>): Promise<void> => {
        await rm(directory, { recursive: true });
        await mkdir(directory);
        for (const [name, text] of Object.entries(contents)) await writeFile(join(directory, name), text);
        // The server's user must be able to read them.
        await runChildOrThrow('chmod', ['-R', 'a+rX', base]);
      };
      await install(files('1.0', columns));
      await withCluster(
        async (cluster) => {
          const database = uniqueDatabaseName('places');
          await cluster.createDatabase(database);
          await cluster.psql(database, databaseSql);
          const outputDir = join(base, 'repository');
          const subject = await backUp(cluster, database, outputDir);
          assert.ok(subject.content.some((line) => line.includes('places.known: 150 ')));
          assert.deepEqual(await restoreAndCompare(subject, cluster), []);
          assert.deepEqual(await restoreByScriptAndCompare(subject, cluster), []);

          const restoreElsewhere = () =>
            restore({
              id: subject.id,
              outputDir,
              connection: { database: cluster.uri(uniqueDatabaseName('other')) },
              isCreating: true,
              pgBinDir: cluster.binDir,
            });
          const restoreByScript = async (): Promise<string> => {
            const name = uniqueDatabaseName('by_script');
            await cluster.createDatabase(name);
            const env = {
              ...withoutConnectionEnv(process.env),
              ...cluster.env(name),
              PATH: `${cluster.binDir}:${process.env['PATH'] ?? ''}`,
            };
            return (await runChild(join(outputDir, subject.id, 'restore.sh'), ['-d', name], { env })).stderr;
          };
          const told = /^extension "places" has version 1\.1 in the target and 1\.0 in the backup$/;
          await install(files('1.1', `${columns}, kind text`));
          const { warnings } = await restoreElsewhere();
          assert.equal(warnings.filter((warning) => told.test(warning)).length, 1, warnings.join('\n'));
          assert.match(
            await restoreByScript(),
            /^restore\.sh: warning: extension places has version 1\.1 in the target and 1\.0 in the backup$/m,
          );

          await install({});
          await assert.rejects(restoreElsewhere, (error) => isDbbackupError(error, 'type_missing', /extension "places" is not available/));
          await install(files('2.0', 'id int PRIMARY KEY, name text, kind text, is_own boolean'));
          const unfit =
            /^places\.known has no column "is_built_in" in the target that can be loaded: extension "places" has version 2\.0 in the target and 1\.0 in the backup$/m;
          await assert.rejects(restoreElsewhere, (error) => isDbbackupError(error, 'target_incompatible', unfit));
          assert.match(await restoreByScript(), /extension places has version 2\.0 in the target[\s\S]*"known"/);
        },
        { version, settings: { extension_control_path: `$system:${base}` } },
      );
    }),
);
