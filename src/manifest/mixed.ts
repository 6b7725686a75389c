import type { ManifestDatabase, ManifestRelation } from './schema.js';

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
