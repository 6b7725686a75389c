import { findServer } from '../support/postgres-programs.js';
import { describeCorpus } from './suite.js';

const { version } = findServer();
describeCorpus({ version, targets: [version] });
