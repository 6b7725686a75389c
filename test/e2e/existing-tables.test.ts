import { sharedCluster } from '../support/shared-cluster.js';
import { describeExistingTables } from './existing-tables-suite.js';

describeExistingTables('rows go into tables that exist', sharedCluster, false);
