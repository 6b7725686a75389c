import type { ManifestDatabase } from '../manifest/schema.js';
import type { Quoting } from './sql.js';

/** A query that prints a line for each extension that has another version in the target than it had in the source. Takes at least one extension. */
export const toExtensionsSql = (quoting: Quoting, { extensions }: ManifestDatabase): string => {
  const saved = extensions.map(({ name, version }) => `(${quoting.literal(name)}, ${quoting.literal(version)})`);
  const line = `pg_catalog.format('extension %I has version %s in the target and %s in the backup', e.extname, e.extversion, s.version)`;
  // A name may hold line ends.
  return `SELECT pg_catalog.regexp_replace(${line}, '[[:cntrl:]]', ' ', 'g')
FROM (VALUES ${saved.join(',\n  ')}) s(name, version) JOIN pg_catalog.pg_extension e ON e.extname = s.name AND e.extversion <> s.version ORDER BY e.extname;
`;
};
