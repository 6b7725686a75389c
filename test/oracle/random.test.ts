import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { withCluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { backUp, restoreAndCompare } from './prove.js';
import { randomDatabase } from './random-schema.js';

/** `npm run test:oracle -- --runs N --seed S` sets them. */
const runs = Number(process.env['DBBACKUP_ORACLE_RUNS'] ?? 3);
const seed = Number(process.env['DBBACKUP_ORACLE_SEED'] ?? 20_261_124);

const formats = ['auto', 'binary', 'text'] as const;

describe('databases made at random', () => {
  it(`are the same after a restore: ${runs} of seed ${seed}`, async () => {
    await withCluster((cluster) =>
      withTemporaryDirectory((outputDir) =>
        fc.assert(
          fc.asyncProperty(randomDatabase, fc.constantFrom(...formats), async (sql, format) => {
            const database = uniqueDatabaseName('random');
            await cluster.createDatabase(database);
            await cluster.psql(database, sql);
            const subject = await backUp(cluster, database, outputDir, { format });
            assert.deepEqual(await restoreAndCompare(subject, cluster), []);
            await cluster.dropDatabase(database);
          }),
          // Each try takes seconds: the counterexample is shown as it is, and found again by its seed.
          { seed, numRuns: runs, endOnFailure: true },
        ),
      ),
    );
  });
});
