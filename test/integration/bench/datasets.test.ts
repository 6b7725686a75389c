import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { datasets } from '../../../bench/datasets/index.js';
import { compareDatabases } from '../../../bench/equality.js';
import { fillDatabase } from '../../../bench/fill.js';
import { withDatabase } from '../../support/database.js';
import { sharedCluster } from '../../support/shared-cluster.js';

const sizeGb = 0.004;

describe('the data sets of demo and bench', () => {
  for (const dataset of datasets) {
    it(`${dataset.name} has the same content each time it is made`, async () => {
      const cluster = await sharedCluster();
      await withDatabase(cluster, (one) =>
        withDatabase(cluster, async (two) => {
          await fillDatabase(cluster, one, dataset, sizeGb);
          await fillDatabase(cluster, two, dataset, sizeGb);
          assert.deepEqual(await compareDatabases(cluster, one, two), []);
          const sql = "SELECT sum(reltuples)::bigint FROM pg_class WHERE relkind = 'r' AND relnamespace >= 2200";
          assert.ok(Number(await cluster.psql(one, sql)) > 1);
        }),
      );
    });
  }

  it('stops a stage at its first failing step and says why', async () => {
    const cluster = await sharedCluster();
    const sleep = { kind: 'sql', name: 'sleep', sql: 'SELECT pg_sleep(60)' } as const;
    const fail = { kind: 'sql', name: 'fail', sql: 'SELECT no_such_column' } as const;
    await withDatabase(cluster, async (database) => {
      const dataset = { name: 'failing', description: '', stages: () => [[[sleep], [fail]]] };
      await assert.rejects(fillDatabase(cluster, database, dataset, 1), /no_such_column/);
    });
  });
});
