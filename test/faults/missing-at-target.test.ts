import assert from 'node:assert/strict';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';
import { findServerUser } from '../support/server-user.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { type Scene, withScene } from './support/scene.js';

/** Restores into a new database, which must fail before any row is loaded. */
const expectRefusal = async ({ cluster, run }: Scene, id: string, expected: Parameters<typeof expectFailure>[1]): Promise<void> => {
  await withDatabase(cluster, async (target) => {
    expectFailure(await run(['restore', 'single', id, '--target-db', cluster.uri(target)]), expected);
    assert.equal(await cluster.psql(target, "SELECT count(*) FROM pg_class WHERE relname = 'kept' AND relpages > 0"), '0');
  });
};

describe('what the target lacks is named', () => {
  it('a role that owns something or was granted something', async () => {
    const role = uniqueDatabaseName('Owner "x"');
    const quoted = `"${role.replaceAll('"', '""')}"`;
    await withScene('CREATE TABLE kept AS SELECT 1 AS id', async (scene) => {
      const { cluster, database, run, backUp } = scene;
      await cluster.psql(database, `CREATE ROLE ${quoted}; ALTER TABLE kept OWNER TO ${quoted}`);
      const owned = await backUp();
      await cluster.psql(database, `ALTER TABLE kept OWNER TO postgres; GRANT SELECT ON kept TO ${quoted}`);
      const granted = await backUp();
      await cluster.psql(database, `DROP OWNED BY ${quoted}; DROP ROLE ${quoted}`);
      // The server does not double the quotes of a name in its messages.
      const expected = { status: 1, code: 'role_missing', message: new RegExp(`role "${role}" does not exist`), hint: /Create the role/ };
      for (const id of [owned, granted]) await expectRefusal(scene, id, expected);
      for (const [id, option] of [
        [owned, '--no-owner'],
        [granted, '--no-privileges'],
      ] as const) {
        await withDatabase(cluster, async (target) => {
          expectSuccess(await run(['restore', 'single', id, '--target-db', cluster.uri(target), option, '--check']));
        });
      }
    });
  });

  it('a tablespace', async () => {
    const tablespace = uniqueDatabaseName('disk');
    await withTemporaryDirectory(async (base) => {
      const directory = join(base, 'disk');
      await mkdir(directory);
      const user = findServerUser();
      if (user !== undefined) for (const path of [base, directory]) await chown(path, user.uid, user.gid);
      await withScene('CREATE TABLE kept AS SELECT 1 AS id', async (scene) => {
        const { cluster, database, run, backUp } = scene;
        await cluster.psql(database, `CREATE TABLESPACE ${tablespace} LOCATION '${directory}'`);
        await cluster.psql(database, `ALTER TABLE kept SET TABLESPACE ${tablespace}`);
        const id = await backUp();
        await cluster.psql(database, 'ALTER TABLE kept SET TABLESPACE pg_default');
        await cluster.psql(database, `DROP TABLESPACE ${tablespace}`);
        const message = new RegExp(`default_tablespace to ${tablespace}: .*"${tablespace}"`);
        await expectRefusal(scene, id, { status: 1, code: 'tool_failed', message, hint: /Create the tablespace.*--no-tablespaces/ });
        await withDatabase(cluster, async (target) => {
          expectSuccess(await run(['restore', 'single', id, '--target-db', cluster.uri(target), '--no-tablespaces', '--check']));
        });
      });
    });
  });
});
