import { loadBinding } from './load.js';
import { callNative } from './native-call.js';

/**
 * The database a connection parameter names: itself, or what stands in it when it is a URI or keyword string, as libpq reads them; empty when it names none.
 * Errors: `usage` for a URI or keyword string libpq cannot read.
 */
export const databaseOf = (connection: string): string => callNative(databaseOf, undefined, () => loadBinding().databaseOf(connection));
