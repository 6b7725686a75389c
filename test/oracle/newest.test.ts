import { it } from 'node:test';
import { findServer, supportedVersions } from '../support/postgres-programs.js';
import { describeCorpus } from './suite.js';

/** What the newest version changes shows here first; `npm run test:matrix` has the others. It is installed on demand, which needs a mirror of Debian. */
const newest = Math.max(...supportedVersions);

const findObstacle = (): string | undefined => {
  try {
    findServer(newest);
    return undefined;
  } catch (error) {
    return String(error);
  }
};

const obstacle = findObstacle();
if (obstacle === undefined) describeCorpus({ version: newest, targets: [newest] });
else it(`the corpus on PostgreSQL ${newest}`, { skip: obstacle }, () => undefined);
