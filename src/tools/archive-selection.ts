import { type ArchiveEntry, pgClassOid, pgConstraintOid, pgNamespaceOid } from './archive-list.js';

/** What of an archive is wanted, by OIDs and dump ids: no name is read out of the archive's list. */
export interface EntrySelection {
  /** Relations of every kind that are wanted. */
  readonly relationOids: ReadonlySet<number>;
  /** True: these relations and what belongs to them. False: all entries but unwanted relations, what is theirs, and `unlistedIds`. */
  readonly isNamed: boolean;
  /** Entries that pg_restore itself leaves out when it is told the schemas; null: none. */
  readonly listedIds: ReadonlySet<number> | null;
  /** Schemas whose own entries are wanted; null: all. */
  readonly schemaOids: ReadonlySet<number> | null;
  /** Schemas that the target has. */
  readonly presentSchemaOids: ReadonlySet<number>;
  /** Whether types, functions and whatever else wanted entries need are brought, too: into a target that is empty they must be. */
  readonly isBringingNeeds: boolean;
  /** Whether definitions are restored: the tables are not there yet. */
  readonly isCreating: boolean;
  /** Relations that the target has. */
  readonly presentOids: ReadonlySet<number>;
  /** Relations that were excluded by name: they do not come back because something needs them. */
  readonly excludedOids: ReadonlySet<number>;
  /** Relation and referent of each foreign key, by the constraint's OID. The list does not tell which is which. */
  readonly foreignKeys: ReadonlyMap<number, { readonly relationOid: number; readonly referentOid: number; readonly isOutward: boolean }>;
  /** What else needs a relation that the archive does not hold. */
  readonly outwardReferences: readonly {
    readonly kind: 'rule' | 'parent' | 'trigger';
    readonly oid: number;
    readonly relationOid: number;
    /** `name` is for people: `public.orders`. */
    readonly refersTo: { readonly oid: number; readonly name: string };
  }[];
}

export interface SelectedEntries {
  /** In the archive's order. */
  readonly entries: readonly ArchiveEntry[];
  /** Relations among them. */
  readonly relationOids: ReadonlySet<number>;
  /**
   * Those among them that attach a partition to a parent which the target has. They come when the partition's indexes are there: the server would make its own, under the same names,
   * and a second primary key cannot be. Attaching takes the partition's indexes along.
   */
  readonly lateEntries: readonly ArchiveEntry[];
  readonly warnings: readonly string[];
}

type OutwardReference = EntrySelection['outwardReferences'][number];

const relationTypes: ReadonlySet<string> = new Set(['TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SEQUENCE']);

/** What stands beside any object. */
const attachedTypes: ReadonlySet<string> = new Set(['ACL', 'COMMENT', 'SECURITY LABEL', 'SEQUENCE OWNED BY']);

/** What belongs to the first relation it depends on. */
const ownTypes: ReadonlySet<string> = new Set([
  'INDEX',
  'INDEX ATTACH',
  'CONSTRAINT',
  'CHECK CONSTRAINT',
  'FK CONSTRAINT',
  'TABLE ATTACH',
  'DEFAULT',
  'TRIGGER',
  'RULE',
  'POLICY',
  'ROW SECURITY',
  'STATISTICS',
  'SEQUENCE',
]);

const publicationTypes: ReadonlySet<string> = new Set(['PUBLICATION TABLE', 'PUBLICATION TABLES IN SCHEMA']);

/** Which entries of an archive to restore. Pure. Cost: a few passes over the entries. */
export const selectEntries = (entries: readonly ArchiveEntry[], selection: EntrySelection): SelectedEntries => {
  const archive = new Archive(entries, selection);
  const warnings: string[] = [];
  const kept = archive.pick();
  if (selection.isBringingNeeds) warnings.push(...archive.bringNeeds(kept));
  warnings.push(...archive.dropUnsatisfied(kept));
  const late = selection.isCreating ? archive.attachLate(kept) : new Set<number>();
  archive.addAttached(kept);
  const chosen = entries.filter(
    ({ dumpId, catalogOid, oid }) => kept.has(dumpId) && !(catalogOid === pgNamespaceOid && selection.presentSchemaOids.has(oid)),
  );
  return {
    entries: chosen,
    relationOids: new Set(chosen.filter(isRelation).map(({ oid }) => oid)),
    lateEntries: chosen.filter(({ dumpId }) => late.has(dumpId)),
    warnings,
  };
};

const isRelation = ({ type, catalogOid }: ArchiveEntry): boolean => catalogOid === pgClassOid && relationTypes.has(type);

class Archive {
  readonly #entries: readonly ArchiveEntry[];
  readonly #byId: ReadonlyMap<number, ArchiveEntry>;
  /** Dump id of the relation an index or constraint belongs to. */
  readonly #ownerOf = new Map<number, number>();
  readonly #serialIds: ReadonlySet<number>;
  readonly #idOfRelation: ReadonlyMap<number, number>;
  readonly #selection: EntrySelection;
  /** Of relations that are attached by an entry of its own: what that entry depends on. */
  readonly #attachedIds = new Map<number, ReadonlySet<number>>();
  readonly #outwardOf = new Map<string, OutwardReference[]>();

  constructor(entries: readonly ArchiveEntry[], selection: EntrySelection) {
    this.#entries = entries;
    this.#selection = selection;
    this.#idOfRelation = new Map(entries.filter(isRelation).map(({ oid, dumpId }) => [oid, dumpId]));
    this.#byId = new Map(entries.map((entry) => [entry.dumpId, entry]));
    this.#serialIds = new Set(entries.flatMap(({ type, dependencies }) => (type === 'SEQUENCE OWNED BY' ? dependencies : [])));
    for (const { type, dependencies } of entries) {
      if (type !== 'TABLE ATTACH') continue;
      const ids = new Set(dependencies);
      const child = dependencies.find(
        (id) => dependencies.length === 1 || this.#byId.get(id)?.dependencies.some((other) => ids.has(other)),
      );
      if (child !== undefined) this.#attachedIds.set(child, ids);
    }
    for (const reference of selection.outwardReferences) {
      const { kind, oid, relationOid } = reference;
      for (const key of kind === 'rule'
        ? [`rule ${relationOid}`, `rule-oid ${oid}`]
        : kind === 'parent'
          ? [`parent ${oid}`]
          : [`trigger ${oid}`]) {
        const known = this.#outwardOf.get(key);
        if (known === undefined) this.#outwardOf.set(key, [reference]);
        else known.push(reference);
      }
    }
    for (const entry of entries) {
      if (!ownTypes.has(entry.type)) continue;
      const key = this.#keyOf(entry);
      const owner =
        key !== undefined
          ? this.#idOfRelation.get(key.relationOid)
          : entry.type.endsWith(' ATTACH')
            ? this.#lowestRelation(entry)
            : this.#firstRelation(entry);
      if (owner !== undefined) this.#ownerOf.set(entry.dumpId, owner);
    }
  }

  #keyOf({ catalogOid, oid }: ArchiveEntry) {
    return catalogOid === pgConstraintOid ? this.#selection.foreignKeys.get(oid) : undefined;
  }

  #firstRelation({ dependencies }: ArchiveEntry): number | undefined {
    return dependencies.find((id) => {
      const needed = this.#byId.get(id);
      return needed !== undefined && isRelation(needed) && needed.type !== 'SEQUENCE';
    });
  }

  /** The partition that an entry attaches, or whose index: no other relation that the entry names needs it. For what pg_dump leaves out it names that one's own parents, in any order. */
  #lowestRelation({ dependencies }: ArchiveEntry): number | undefined {
    const relations = dependencies.flatMap((id) => this.#byId.get(id) ?? []).filter(isRelation);
    return relations.find(({ dumpId }) => !relations.some((other) => other.dependencies.includes(dumpId)))?.dumpId;
  }

  describe(dumpId: number): string {
    const { line = '' } = this.#byId.get(dumpId) ?? {};
    return line.replace(/^\d+; \d+ \d+ /, '').replace(/\p{Cc}/gu, ' ');
  }

  pick(): Set<number> {
    const kept = new Set<number>();
    for (const entry of this.#entries) if (this.#isPicked(entry)) kept.add(entry.dumpId);
    for (const { dumpId, type } of this.#entries) {
      const owner = this.#ownerOf.get(dumpId);
      if (owner === undefined) continue;
      if (kept.has(owner)) {
        // Without its sequence an identity column is none.
        if (this.#selection.isNamed || (type === 'SEQUENCE' && !this.#isSerial(dumpId))) kept.add(dumpId);
      } else if (type !== 'SEQUENCE' || !this.#isSerial(dumpId)) kept.delete(dumpId);
    }
    return kept;
  }

  #isPicked(entry: ArchiveEntry): boolean {
    const { isNamed, relationOids, listedIds, schemaOids } = this.#selection;
    if (isRelation(entry)) return relationOids.has(entry.oid);
    if (isNamed || attachedTypes.has(entry.type)) return false;
    if (entry.catalogOid === pgNamespaceOid) return schemaOids === null || schemaOids.has(entry.oid);
    return listedIds === null || listedIds.has(entry.dumpId);
  }

  #hasOwner(sequence: number, kept: ReadonlySet<number>): boolean {
    return (this.#byId.get(sequence)?.dependencies ?? []).every((id) => {
      const entry = this.#byId.get(id);
      return entry === undefined || !isRelation(entry) || kept.has(id);
    });
  }

  /** A sequence that a table owns and that could do without it, unlike an identity column's. */
  #isSerial(dumpId: number): boolean {
    return this.#serialIds.has(dumpId);
  }

  /** Adds what kept entries need, over any number of steps. Relations come by their definitions alone, which is worth a warning; those that only an index or the like refers to do not come. */
  bringNeeds(kept: Set<number>): readonly string[] {
    const warnings: string[] = [];
    const waiting = [...kept];
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      const entry = this.#byId.get(id);
      if (entry === undefined || attachedTypes.has(entry.type) || publicationTypes.has(entry.type)) continue;
      for (const needed of entry.dependencies) {
        const other = this.#byId.get(needed);
        if (other === undefined || kept.has(needed)) continue;
        const isOfRelation = isRelation(other) || ownTypes.has(other.type);
        if (isOfRelation && ((ownTypes.has(entry.type) && entry.type !== 'DEFAULT') || this.#selection.excludedOids.has(other.oid)))
          continue;
        if (isOfRelation && other.type !== 'SEQUENCE')
          warnings.push(`${this.describe(needed)} is restored by its definition alone: ${this.describe(id)} needs it`);
        kept.add(needed);
        waiting.push(needed);
      }
    }
    return warnings;
  }

  /** Takes out entries that refer to relations which are neither kept nor in the target, and those that refer to them. */
  dropUnsatisfied(kept: Set<number>): readonly string[] {
    const warnings: string[] = [];
    let isChanging = true;
    while (isChanging) {
      isChanging = false;
      for (const entry of this.#entries) {
        if (!kept.has(entry.dumpId) || attachedTypes.has(entry.type)) continue;
        // pg_dump writes the owner of a sequence as a dependency, which it is only for an identity column's.
        if (entry.type === 'SEQUENCE' && this.#isSerial(entry.dumpId)) continue;
        const missing = entry.dependencies.find((id) => !kept.has(id) && this.#isMissing(id) && !this.#isAttached(entry.dumpId, id));
        const outside = missing === undefined ? this.#findOutside(entry) : undefined;
        if (missing === undefined && outside === undefined && !this.#isLeadingOut(entry, kept)) continue;
        kept.delete(entry.dumpId);
        isChanging = true;
        if (publicationTypes.has(entry.type)) continue;
        const reason = missing === undefined ? (outside ?? 'the table it refers to') : this.describe(missing);
        warnings.push(`${this.describe(entry.dumpId)} is left out: ${reason} is not restored`);
      }
    }
    return warnings;
  }

  /**
   * Entries that attach partitions to parents which are not made by this restore. Takes out those of indexes, but where the parent is made: the first bring them along, or the parents are not there.
   * For what pg_dump leaves out it tells what that would have depended on, so an entry may name the parent's parent.
   */
  attachLate(kept: Set<number>): ReadonlySet<number> {
    const late = new Set<number>();
    const attached = new Set<number>();
    for (const { dumpId, type, dependencies } of this.#entries) {
      const child = this.#ownerOf.get(dumpId);
      if (type !== 'TABLE ATTACH' || child === undefined || !kept.has(dumpId)) continue;
      const isOutward = this.#outwardOf.has(`parent ${this.#byId.get(child)?.oid}`);
      if (isOutward || dependencies.filter((id) => kept.has(id)).length < 2) late.add(dumpId);
      else attached.add(child);
    }
    for (const { dumpId, type } of this.#entries)
      if (type === 'INDEX ATTACH' && !attached.has(this.#ownerOf.get(dumpId) ?? -1)) kept.delete(dumpId);
    return late;
  }

  /** A foreign key to a table that is neither kept nor in the target; in an archive of a part of a database the list does not show what is missing. */
  #isLeadingOut(entry: ArchiveEntry, kept: ReadonlySet<number>): boolean {
    const key = this.#keyOf(entry);
    if (key === undefined || this.#selection.presentOids.has(key.referentOid)) return false;
    const referent = this.#idOfRelation.get(key.referentOid);
    if (referent !== undefined) return !kept.has(referent);
    // An extension's own table comes with the extension.
    return key.isOutward || !this.#entries.some(({ dumpId, type }) => type === 'EXTENSION' && kept.has(dumpId));
  }

  /** A relation outside the archive that an entry cannot do without and that the target lacks either. */
  #findOutside({ dumpId, type, oid, dependencies }: ArchiveEntry): string | undefined {
    const find = (references: readonly OutwardReference[] = []): string | undefined => {
      const missing = references.find(({ refersTo }) => !this.#selection.presentOids.has(refersTo.oid));
      return missing === undefined ? undefined : missing.refersTo.name;
    };
    if (type === 'VIEW' || type === 'MATERIALIZED VIEW') return find(this.#outwardOf.get(`rule ${oid}`));
    // Of its two indexes pg_dump tells only those that are in the archive.
    if (type === 'INDEX ATTACH' && !this.#selection.isCreating)
      return new Set(dependencies.filter((id) => this.#isIndex(id))).size < 2 ? 'the index of its parent' : undefined;
    if (type === 'TRIGGER') return find(this.#outwardOf.get(`trigger ${oid}`));
    if (type === 'RULE') return find(this.#outwardOf.get(`rule-oid ${oid}`));
    const owner = this.#byId.get(this.#ownerOf.get(dumpId) ?? -1)?.oid;
    if (type === 'TABLE ATTACH') return find(this.#outwardOf.get(`parent ${owner}`));
    return type === 'TABLE' && !this.#attachedIds.has(dumpId) ? find(this.#outwardOf.get(`parent ${oid}`)) : undefined;
  }

  #isIndex(id: number): boolean {
    const type = this.#byId.get(id)?.type;
    return type === 'INDEX' || type === 'CONSTRAINT';
  }

  /** Whether a partition stands without its parent: a statement of its own attaches it. */
  #isAttached(dumpId: number, parentId: number): boolean {
    return this.#attachedIds.get(dumpId)?.has(parentId) === true;
  }

  #isMissing(id: number): boolean {
    const { presentOids, isBringingNeeds } = this.#selection;
    const entry = this.#byId.get(id);
    if (entry === undefined) return false;
    const relation = isRelation(entry) ? entry : this.#byId.get(this.#ownerOf.get(id) ?? -1);
    if (relation !== undefined) return !presentOids.has(relation.oid);
    // Of other objects the target is asked by pg_restore itself.
    return isBringingNeeds || entry.type === 'PUBLICATION';
  }

  addAttached(kept: Set<number>): void {
    for (const { dumpId, type, dependencies } of this.#entries) {
      if (!attachedTypes.has(type) || !dependencies.some((id) => kept.has(id))) continue;
      // The table stands with the sequence alone.
      if (type !== 'SEQUENCE OWNED BY' || dependencies.every((id) => this.#hasOwner(id, kept))) kept.add(dumpId);
    }
  }
}
