import { describeCluster } from '../e2e/cluster-suite.js';
import { supportedVersions } from '../support/postgres-programs.js';

const newest = Math.max(...supportedVersions);
for (const version of supportedVersions) {
  describeCluster({ version, target: version });
  if (version !== newest) describeCluster({ version, target: newest });
}
