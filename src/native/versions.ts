import { loadBinding } from './load.js';

/** Versions of the libraries the addon uses: `libpq` as `PQlibVersion` numbers it (150018 is 15.18). Errors: `addon_unavailable`. */
export const nativeVersions = (): { readonly libpq: number; readonly zstd: string; readonly openssl: string } => loadBinding().versions();

/** Every code a native error may have, for comparison with the catalogue. Errors: `addon_unavailable`. */
export const nativeErrorCodes = (): readonly string[] => loadBinding().errorCodes();
