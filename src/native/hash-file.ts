import type { ChecksumName } from '../core/results.js';
import { loadBinding } from './load.js';
import { awaitNative } from './native-call.js';

/**
 * Checksum of a file's bytes in lower-case hex, as `xxhsum -H2` or `sha256sum` print it. Files are read one after the other on a native thread.
 * Errors: `data_damaged` when it is missing or no regular file, `io_error`, `cancelled` when the process ends.
 */
export const hashFile = (path: string, checksum: ChecksumName): Promise<string> =>
  awaitNative(hashFile, undefined, () => loadBinding().hashFile(path, checksum));
