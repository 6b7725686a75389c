import { describeLargeObjects } from '../e2e/large-object-suite.js';
import { startCluster } from '../support/cluster.js';
import { supportedVersions } from '../support/postgres-programs.js';

for (const version of supportedVersions)
  describeLargeObjects(`large objects of PostgreSQL ${version}`, () => startCluster({ version }), true);
