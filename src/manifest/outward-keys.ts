import type { ManifestDatabase } from './schema.js';

/** Foreign keys that lead out of the backup, which is one of a part of a database then. */
export const toOutwardKeys = ({ foreignKeys }: ManifestDatabase): ManifestDatabase['foreignKeys'] =>
  foreignKeys.filter(({ isOutward }) => isOutward);
