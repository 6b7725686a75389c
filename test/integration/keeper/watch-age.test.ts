import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withAgeWatch } from '#src/keeper/watch-age.js';
import { readPing, toXminAge } from '#src/keeper/xmin-age.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { toStart, withKeeper } from './support.js';

const cluster = await sharedCluster();

/** Lets many transactions begin, and has the server note how many. */
const beginTransactions = async (count: number): Promise<void> => {
  const burn = `CREATE PROCEDURE pg_temp.burn() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..${count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`;
  await cluster.psql('postgres', `${burn}; CALL pg_temp.burn(); CHECKPOINT;`);
};

describe('the age of a snapshot', () => {
  it('grows with the transactions of others, and is told once when it passes the limit', async () => {
    await withKeeper({ ...toStart(cluster), pingMs: 50 }, async (keeper) => {
      await keeper.session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      await keeper.session.query('SELECT 1');
      await keeper.hold(await readPing(keeper.session));
      const told: number[] = [];
      const tell = { keeper, onOld: (age: number) => void told.push(age) };
      await withAgeWatch(
        [tell],
        async () => {
          await beginTransactions(1);
          await sleep(500);
          assert.deepEqual(told, []);
          await beginTransactions(3000);
          for (let tries = 0; told.length === 0; tries += 1) {
            assert.ok(tries < 200, 'nothing was told');
            await sleep(50);
          }
          await sleep(300);
        },
        { limit: 2000, intervalMs: 50 },
      );
      assert.equal(told.length, 1);
      assert.ok((told[0] ?? 0) >= 3000, `${told[0]}`);
      const age = toXminAge(await keeper.readState());
      assert.ok(age !== null && age >= 3000, `${age}`);
    });
  });

  it('of a role that may not read it is not asked for', async () => {
    await withKeeper(toStart(cluster), async (keeper) => {
      assert.match(await readPing(keeper.session), /pg_control_checkpoint/);
      await keeper.session.query(
        'BEGIN; REVOKE EXECUTE ON FUNCTION pg_control_checkpoint() FROM PUBLIC; CREATE ROLE unable; SET ROLE unable',
      );
      assert.equal(await readPing(keeper.session), '');
      await keeper.session.query('ROLLBACK');
    });
  });
});
