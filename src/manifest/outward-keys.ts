import type { ManifestDatabase } from './schema.js';

/** Foreign keys that lead out of the backup, which is one of a part of a database then. */
export const toOutwardKeys = ({ foreignKeys, relations }: ManifestDatabase): ManifestDatabase['foreignKeys'] => {
  const saved = new Set(relations.map(({ oid }) => oid));
  return foreignKeys.filter(({ refersTo }) => !saved.has(refersTo.oid));
};
