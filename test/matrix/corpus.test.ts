import { describeCorpus } from '../oracle/suite.js';
import { supportedVersions } from '../support/postgres-programs.js';

const newest = Math.max(...supportedVersions);
for (const version of supportedVersions) describeCorpus({ version, targets: [...new Set([version, newest])] });
