import type { ManifestDatabase } from './schema.js';

/** What leads out of a backup of a part of a database, so that it can be made only where what it needs is. */

/** Foreign keys whose referent is outside. */
export const toOutwardKeys = ({ foreignKeys }: ManifestDatabase): ManifestDatabase['foreignKeys'] =>
  foreignKeys.filter(({ isOutward }) => isOutward);

/** Entries of the schema archive that an empty target cannot take, as `catalog:oid`: foreign keys, rules, views and materialised views, triggers made by a parent's. */
export const listOutward = (database: ManifestDatabase): readonly string[] => {
  const views = new Set(database.otherRelations.filter(({ kind }) => kind !== 'f').map(({ oid }) => oid));
  const references = database.outwardReferences.flatMap(({ kind, oid, relationOid }) => {
    if (kind === 'trigger') return [`${catalogs.trigger}:${oid}`];
    if (kind === 'parent') return [];
    return [`${catalogs.rule}:${oid}`, ...(views.has(relationOid) ? [`${catalogs.relation}:${relationOid}`] : [])];
  });
  return [...new Set([...toOutwardKeys(database).map(({ oid }) => `${catalogs.constraint}:${oid}`), ...references])];
};

/** OIDs of partitions and children whose parent is outside: the first stand alone, the others cannot be made. */
export const listOutwardChildren = ({ outwardReferences }: ManifestDatabase): readonly number[] => [
  ...new Set(outwardReferences.flatMap(({ kind, relationOid }) => (kind === 'parent' ? [relationOid] : []))),
];

/** OIDs of system catalogs, the same on every server. */
const catalogs = { relation: 1259, constraint: 2606, rule: 2618, trigger: 2620 } as const;
