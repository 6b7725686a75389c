import { displayText } from '../catalog/names.js';
import { formatPlural } from '../core/units.js';
import type { Manifest, ManifestDatabase, ManifestRelation } from './schema.js';

/** A foreign key between relations that were read under different snapshots: nothing promises that its rows have referents. */
export interface SplitKey {
  /** OID of the constraint. */
  readonly oid: number;
  readonly relation: ManifestRelation;
  readonly referent: ManifestRelation;
}

/** Those of a database, in the manifest's order; empty unless the backup is `mixed`. */
export const listSplitKeys = ({ relations, foreignKeys, snapshots }: ManifestDatabase): readonly SplitKey[] => {
  if (snapshots.length < 2) return [];
  const known = new Map(relations.map((relation) => [relation.oid, relation]));
  return foreignKeys.flatMap(({ oid, relationOid, refersTo }) => {
    const [relation, referent] = [known.get(relationOid), known.get(refersTo.oid)];
    return relation === undefined || referent === undefined || relation.snapshot === referent.snapshot ? [] : [{ oid, relation, referent }];
  });
};

/** `public.orders (snapshot 2) refers to public.customers (snapshot 1)`. */
export const describeSplitKey = ({ relation, referent }: SplitKey): string =>
  `${nameWithSnapshot(relation)} refers to ${nameWithSnapshot(referent)}`;

const nameWithSnapshot = ({ schema, name, snapshot }: ManifestRelation): string => `${schema}.${name} (snapshot ${snapshot})`;

/** What is of which snapshot, and what may not fit together: for people. Empty unless the backup is `mixed`. */
export const describeMixing = ({ kind, consistency, databases }: Manifest): readonly string[] => {
  if (consistency !== 'mixed') return [];
  return databases
    .filter(({ snapshots }) => snapshots.length > 1)
    .flatMap((database) => {
      const last = database.snapshots.at(-1);
      const older = database.relations.filter((relation) => relation.kind !== 'p' && relation.snapshot !== last?.number).length;
      const prefix = kind === 'cluster' ? `${displayText(database.name)}: ` : '';
      return [
        `${prefix}the backup is mixed: ${formatPlural(older, 'relation')} of an earlier snapshot, all others of that of ${last?.takenAt ?? ''}`,
        ...listSplitKeys(database).map((key) => `${prefix}${describeSplitKey(key)}: rows may lack their referents`),
      ];
    });
};
