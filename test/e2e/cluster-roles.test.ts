import { it } from 'node:test';
import { findNewest } from '../oracle/newest.js';
import { installedServers } from '../support/postgres-programs.js';
import { describeCluster } from './cluster-suite.js';

// Who may grant a role, and in whose name, changed in PostgreSQL 16: grants of an older server and of the newest one must pass it. `npm run test:matrix` has all versions.
const { version, obstacle } = findNewest();
const installed = installedServers().at(-1)?.version ?? version;
if (obstacle === undefined) for (const source of new Set([installed, version])) describeCluster({ version: source, target: version });
else {
  it(`a cluster in PostgreSQL ${version}`, { skip: obstacle }, () => undefined);
  describeCluster({ version: installed, target: installed });
}
