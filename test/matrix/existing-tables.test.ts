import { describeExistingTables } from '../e2e/existing-tables-suite.js';
import { startCluster } from '../support/cluster.js';
import { supportedVersions } from '../support/postgres-programs.js';

for (const version of supportedVersions)
  describeExistingTables(`rows go into tables of PostgreSQL ${version}`, () => startCluster({ version }), true);
