import { join } from 'node:path';
import { openLocalStorage } from '#src/storage/local-storage.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { describeStorage } from './storage-suite.js';

describeStorage('a directory', (fn) => withTemporaryDirectory((base) => fn(openLocalStorage(base))));
describeStorage('a directory that is still to be created', (fn) =>
  withTemporaryDirectory((base) => fn(openLocalStorage(join(base, 'new', 'deeper')))),
);
