import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DbbackupError, restore } from '#src/index.js';
import { withDatabase } from '../support/database.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { flipBit } from './support/data-files.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { smallSql, withScene } from './support/scene.js';

const contents: readonly (readonly [what: string, sql: string])[] = [
  ['a table', 'CREATE TABLE kept AS SELECT 1 AS id'],
  ['a view in another schema', 'CREATE SCHEMA s; CREATE VIEW s.kept AS SELECT 1 AS id'],
  ['a function', 'CREATE FUNCTION kept() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$'],
  ['a sequence', 'CREATE SEQUENCE kept'],
  ['an enum', "CREATE TYPE kept AS ENUM ('a')"],
  ['a range type', 'CREATE TYPE kept AS RANGE (subtype = int)'],
  ['an empty schema', 'CREATE SCHEMA kept'],
  ['a composite type', 'CREATE TYPE kept AS (a int)'],
];

describe('a target', () => {
  it('that is not empty is refused and left as it was', async () => {
    await withScene(smallSql, async ({ cluster, database, run, repository, backUp }) => {
      const id = await backUp();
      const outcome = await run(['restore', 'single', id, '--target-db', cluster.uri(database)]);
      expectFailure(outcome, {
        status: 1,
        code: 'target_not_empty',
        message: /is not empty: it holds table/,
        hint: /--create, or --clean --yes/,
      });
      for (const [what, sql] of contents) {
        await withDatabase(cluster, async (target) => {
          await cluster.psql(target, sql);
          await assert.rejects(
            restore({ id, outputDir: repository, connection: { database: cluster.uri(target) } }),
            ({ code, message }: DbbackupError) => code === 'target_not_empty' && /is not empty: it holds .*kept/.test(message),
            what,
          );
          assert.equal(await cluster.psql(target, "SELECT to_regclass('public.orders') IS NULL"), 't', what);
        });
      }
    });
  });

  it('that exists is refused by --create and left as it was', async () => {
    await withScene(smallSql, async ({ cluster, database, run, backUp }) => {
      const id = await backUp();
      const before = await tableFingerprints(cluster, database);
      const outcome = await run(['restore', 'single', id, '--target-db', cluster.uri(database), '--create']);
      expectFailure(outcome, {
        status: 1,
        code: 'target_exists',
        message: new RegExp(`"${database}" exists already`),
        hint: /another --target-db/,
      });
      assert.deepEqual(await tableFingerprints(cluster, database), before);
    });
  });

  it('of --clean is left as it was without consent, and by a backup that turns out to be damaged', async () => {
    await withScene(smallSql, async ({ cluster, database, run, backUp, directoryOf }) => {
      const id = await backUp();
      const before = await tableFingerprints(cluster, database);
      const args = ['restore', 'single', id, '--target-db', cluster.uri(database), '--clean'];
      expectFailure(await run(args), { status: 2, code: 'usage', message: /--clean needs --yes/ });
      const schema = `${directoryOf(id)}/schema/0001.dump.zst`;
      await flipBit(schema, -30);
      expectFailure(await run([...args, '--yes']), { status: 20, code: 'data_damaged', message: /schema\/0001\.dump\.zst/, hint: /copy/ });
      assert.deepEqual(await tableFingerprints(cluster, database), before);
      await flipBit(schema, -30);
      expectSuccess(await run([...args, '--yes']));
      assert.deepEqual(await tableFingerprints(cluster, database), before);
    });
  });
});
