import { throwIfCancelled } from '../core/abort.js';
import type { ChecksumName } from '../core/results.js';
import { onAbort } from './abort.js';
import { loadBinding } from './load.js';
import { awaitNative } from './native-call.js';

/**
 * Checksum of a file's bytes in lower-case hex, as `xxhsum -H2` or `sha256sum` print it. Files are read one after the other on a native thread.
 * Errors: `data_damaged` when it is missing or no regular file, `io_error`, `cancelled` when `signal` is aborted or the process ends.
 */
export const hashFile = async (
  path: string,
  checksum: ChecksumName,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<string> => {
  throwIfCancelled(signal);
  let removeListener = (): void => undefined;
  try {
    return await awaitNative(hashFile, signal, () =>
      loadBinding().hashFile(path, checksum, (stop) => {
        removeListener = onAbort(signal, stop);
      }),
    );
  } finally {
    removeListener();
  }
};
