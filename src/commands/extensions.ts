import { displayText } from '../catalog/names.js';
import { DbbackupError } from '../core/errors.js';
import { isNarrowed, type Selection } from '../core/selection.js';
import type { ManifestDatabase, ManifestRelation } from '../manifest/schema.js';
import type { Session } from '../native/session.js';
import { findExistingTables } from './existing-tables.js';

/**
 * What the user is to be told of extensions that the target has in another version than the backup: pg_restore makes the target's own. To be asked once the extensions are there and before
 * rows are loaded. Where tables or schemas are selected, only those extensions matter whose rows are. Errors: `target_incompatible` naming extension and table, where a configuration table of such a version cannot take the rows. `toTarget`: see `findExistingTables`.
 */
export const checkExtensions = async (
  session: Session,
  database: ManifestDatabase,
  selection: Selection,
  toTarget: (relation: ManifestRelation) => ManifestRelation,
): Promise<readonly string[]> => {
  if (database.extensions.length === 0) return [];
  const { rows } = await session.query('SELECT e.extname, e.extversion FROM pg_catalog.pg_extension e');
  const versions = new Map(rows.map(([name, version]) => [name, version]));
  const warnings: string[] = [];
  for (const { name, version, relationOids } of database.extensions) {
    const found = versions.get(name);
    if (typeof found !== 'string' || found === version) continue;
    const message = `extension "${displayText(name)}" has version ${displayText(found)} in the target and ${displayText(version)} in the backup`;
    const oids = new Set(relationOids);
    const relations = database.relations.filter(({ oid, segments }) => oids.has(oid) && segments.length > 0);
    if (isNarrowed(selection) && relations.length === 0) continue;
    await findExistingTables(session, { ...database, relations }, true, toTarget).catch((error: unknown) => {
      if (!(error instanceof DbbackupError && error.code === 'target_incompatible')) throw error;
      const hint = `Install version ${displayText(version)} of the extension on the target server.`;
      throw new DbbackupError(error.code, `${error.message}: ${message}`, { cause: error, details: { ...error.details, hint } });
    });
    warnings.push(message);
  }
  return warnings;
};
