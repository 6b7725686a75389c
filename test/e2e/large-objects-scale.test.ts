import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expectSuccess } from '../faults/support/failure.js';
import { startRun } from '../faults/support/running.js';
import { withScene } from '../faults/support/scene.js';
import { quoteIdentifier } from '../support/cluster.js';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';
import { sharedCluster } from '../support/shared-cluster.js';

const mebibyte = 1024 ** 2;
const limitBytes = 150 * mebibyte;
const objectCount = 200_000;

const imageSql = `SELECT count(*), count(DISTINCT lomowner), sum(hashtextextended(m.oid || pg_get_userbyid(m.lomowner) || coalesce(m.lomacl::text, '') || encode(lo_get(m.oid), 'escape'), 0))
FROM pg_largeobject_metadata m`;

describe('200 000 large objects', () => {
  it('are saved and brought back with an owner each, in constant memory and at the default of max_locks_per_transaction', async (t) => {
    const shared = await sharedCluster();
    const role = quoteIdentifier(uniqueDatabaseName('owner'));
    await shared.psql('postgres', `CREATE ROLE ${role}`);
    try {
      await withScene('', async ({ cluster, database, repository }) => {
        assert.equal(await cluster.psql(database, 'SHOW max_locks_per_transaction'), '64');
        // Of another owner than the one who restores: each takes a lock of its own then.
        await cluster.psql(
          database,
          `SET ROLE ${role}; SELECT count(lo_from_bytea(100000 + i, ('content ' || i)::bytea)) FROM generate_series(1, ${objectCount}) i`,
        );
        const peakOf = async (args: readonly string[]) => {
          const run = startRun([...args, '--jobs', '4', '--output-dir', repository]);
          expectSuccess(await run.outcome);
          const [finished] = run.events.filter((event) => 'peakRssBytes' in event);
          assert.ok(finished !== undefined && 'peakRssBytes' in finished && 'id' in finished);
          t.diagnostic(`${args[0]}: ${(finished.peakRssBytes / mebibyte).toFixed(0)} MB, ${(finished.elapsedMs / 1000).toFixed(1)} s`);
          assert.ok(finished.peakRssBytes < limitBytes, `${args[0]}: ${finished.peakRssBytes} bytes`);
          return finished.id;
        };
        const id = await peakOf(['backup', 'single', cluster.uri(database)]);
        await withDatabase(cluster, async (target) => {
          await peakOf(['restore', 'single', id, '--target-db', cluster.uri(target), '--check']);
          const image = await cluster.psql(target, imageSql);
          assert.equal(image, await cluster.psql(database, imageSql));
          assert.match(image, new RegExp(`^${objectCount}\\|1\\|`));
        });
      });
    } finally {
      await shared.psql('postgres', `DROP ROLE ${role}`);
    }
  });
});
