import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withDatabase } from '../support/database.js';
import { expectFailure } from './support/failure.js';
import { withOwnServer } from './support/own-server.js';
import { withScene } from './support/scene.js';

const sql = `CREATE EXTENSION citext;
CREATE TABLE names (id int PRIMARY KEY, name citext);
INSERT INTO names SELECT i, 'Name ' || i FROM generate_series(1, 10) i;`;

describe('a type whose extension is missing at the target', () => {
  it('is told with the extension, before any row is written', async () => {
    await withOwnServer({ extensions: ['plpgsql'] }, async ({ cluster: target }) => {
      await withScene(sql, async ({ run, backUp }) => {
        const id = await backUp();
        await withDatabase(target, async (database) => {
          const outcome = await run(['restore', 'single', id, '--target-db', target.uri(database)]);
          expectFailure(outcome, {
            status: 1,
            code: 'type_missing',
            message: /extension "citext" is not available/,
            hint: /Install the extension on the target server/,
          });
          assert.equal(await target.psql(database, "SELECT to_regclass('names') IS NULL"), 't');
        });
      });
    });
  });
});
