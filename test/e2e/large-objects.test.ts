import { sharedCluster } from '../support/shared-cluster.js';
import { describeLargeObjects } from './large-object-suite.js';

describeLargeObjects('large objects', sharedCluster, false);
