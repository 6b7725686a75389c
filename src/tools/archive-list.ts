/** One line of `pg_restore --list`, without the names: those may contain anything, and OIDs and dependencies say more. */
export interface ArchiveEntry {
  readonly dumpId: number;
  /** OID of the system catalog and of the object in it, in the source database; both 0 for what has none. 1259 is `pg_class`. */
  readonly catalogOid: number;
  readonly oid: number;
  /** `TABLE`, `INDEX`, `FK CONSTRAINT` …; empty for one this version does not know. */
  readonly type: string;
  /** Dump ids of the entries it needs. */
  readonly dependencies: readonly number[];
  /** As printed: what `--use-list` takes back. */
  readonly line: string;
}

/** Those whose first words are also another type's come before it. */
const knownTypes: readonly string[] = [
  'ACL',
  'COMMENT',
  'SECURITY LABEL',
  'INDEX ATTACH',
  'INDEX',
  'CHECK CONSTRAINT',
  'FK CONSTRAINT',
  'CONSTRAINT',
  'TABLE ATTACH',
  'TABLE DATA',
  'TABLE',
  'FOREIGN TABLE',
  'MATERIALIZED VIEW',
  'VIEW',
  'SEQUENCE OWNED BY',
  'SEQUENCE SET',
  'SEQUENCE',
  'DEFAULT ACL',
  'DEFAULT',
  'TRIGGER',
  'RULE',
  'POLICY',
  'ROW SECURITY',
  'STATISTICS',
  'EVENT TRIGGER',
  'SUBSCRIPTION',
  'PUBLICATION TABLES IN SCHEMA',
  'PUBLICATION TABLE',
  'PUBLICATION',
  'SCHEMA',
];

/** OIDs of system catalogs, the same on every server. */
export const pgClassOid = 1259;
export const pgConstraintOid = 2606;
export const pgNamespaceOid = 2615;

/** Reads the output of `pg_restore --list --verbose`, whose comment below an entry tells its dependencies. */
export const parseArchiveList = (text: string): readonly ArchiveEntry[] => {
  const entries: ArchiveEntry[] = [];
  for (const line of text.split('\n')) {
    const [, dumpId, catalogOid, oid, rest] = /^(\d+); (\d+) (\d+) (.*)$/.exec(line) ?? [];
    if (rest !== undefined) {
      const type = knownTypes.find((known) => rest.startsWith(`${known} `)) ?? '';
      entries.push({ dumpId: Number(dumpId), catalogOid: Number(catalogOid), oid: Number(oid), type, dependencies: [], line });
      continue;
    }
    const ids = /^;\s+depends on:((?: \d+)+)\s*$/.exec(line)?.[1];
    const last = ids === undefined ? undefined : entries.pop();
    if (last !== undefined) entries.push({ ...last, dependencies: (ids ?? '').trim().split(' ').map(Number) });
  }
  return entries;
};

/** What is done with an archive's entries after the rows are loaded. */
export interface PostDataGroups {
  /** By the OID a large relation has in the source: its indexes, primary keys, unique and exclusion constraints. Only relations that have any. */
  readonly byRelation: ReadonlyMap<number, readonly ArchiveEntry[]>;
  /** All other entries of the archive, in its order. */
  readonly rest: readonly ArchiveEntry[];
}

const noOwners: ReadonlyMap<number, number> = new Map();

/** Finds the entries that can be restored as soon as one relation is loaded. An entry belongs to the first table it depends on. */
export const groupPostData = (entries: readonly ArchiveEntry[], relationOids: readonly number[]): PostDataGroups => {
  const wanted = new Set(relationOids);
  const tables = new Map<number, number>();
  for (const { type, catalogOid, oid, dumpId } of entries) {
    if (type === 'TABLE' && catalogOid === pgClassOid) tables.set(dumpId, oid);
  }
  const byRelation = new Map<number, ArchiveEntry[]>();
  const rest: ArchiveEntry[] = [];
  // pg_restore gives a comment the section of the entry before it: apart from its index or constraint it would be taken for pre-data, and lost.
  const relationOf = new Map<number, number>();
  for (const entry of entries) {
    const isOwn = entry.type === 'INDEX' || entry.type === 'CONSTRAINT';
    const owners = isOwn ? tables : entry.type === 'COMMENT' ? relationOf : noOwners;
    const relation = owners.get(entry.dependencies.find((id) => owners.has(id)) ?? -1);
    if (isOwn && relation !== undefined) relationOf.set(entry.dumpId, relation);
    if (relation === undefined || !wanted.has(relation)) rest.push(entry);
    else if (byRelation.has(relation)) byRelation.get(relation)?.push(entry);
    else byRelation.set(relation, [entry]);
  }
  return { byRelation, rest };
};

/** Parts entries of some types, with their comments, from all others; both keep their order. */
export const splitEntries = (
  entries: readonly ArchiveEntry[],
  types: ReadonlySet<string>,
): { readonly chosen: readonly ArchiveEntry[]; readonly others: readonly ArchiveEntry[] } => {
  const ids = new Set(entries.flatMap(({ type, dumpId }) => (types.has(type) ? [dumpId] : [])));
  const isChosen = ({ type, dumpId, dependencies }: ArchiveEntry): boolean =>
    ids.has(dumpId) || (type === 'COMMENT' && dependencies.some((id) => ids.has(id)));
  return { chosen: entries.filter(isChosen), others: entries.filter((entry) => !isChosen(entry)) };
};
