import { it } from 'node:test';
import { findNewest } from './newest.js';
import { describeCorpus } from './suite.js';

// What the newest version changes shows here first; `npm run test:matrix` has the others. It is installed on demand, which needs a mirror of Debian.
const { version, obstacle } = findNewest();
if (obstacle === undefined) describeCorpus({ version, targets: [version] });
else it(`the corpus on PostgreSQL ${version}`, { skip: obstacle }, () => undefined);
