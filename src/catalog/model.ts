/** What a database contains, as plain data read under one snapshot. */

/** A relation whose rows are saved: ordinary table, partition leaf, extension configuration table; and partitioned tables, for their locks and names. */
export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `format('%I.%I')` of both, quoted by the server: the only spelling that enters SQL. */
  readonly quotedName: string;
  /** `pg_class.relkind`: `r`, or `p` for a partitioned table (locked and named, holds no rows of its own). */
  readonly kind: 'r' | 'p';
  /** Access method name; null for partitioned tables. */
  readonly accessMethod: string | null;
  /** `pg_class.relfilenode` as the snapshot sees it; 0 where the relation has no storage. */
  readonly fileNode: number;
  /** Bytes of the main fork and of the TOAST relation's main fork. */
  readonly heapBytes: number;
  readonly toastBytes: number;
  /** Planner statistics, -1 when never analysed. */
  readonly estimatedRowCount: number;
  /** OID of the topmost partitioned table, or null. */
  readonly partitionRootOid: number | null;
  /** The smallest OID of all relations that partitioning or inheritance joins with this one; null where it stands alone. */
  readonly treeOid: number | null;
  /** Hash of everything in its definition that rows depend on: columns with their types, constraints but foreign keys, unique indexes, bounds. Decimal text. */
  readonly definition: string;
  /** A partition, at some level by hash of enums or of text that a nondeterministic collation compares: another server may put its rows elsewhere. */
  readonly isRootNeeded: boolean;
  readonly isUnlogged: boolean;
  /** Columns COPY lists, in attnum order, of a partition in the order of its root; without generated and dropped ones. */
  readonly columns: readonly Column[];
  /** `WHERE …` text for an extension configuration table (`pg_extension.extcondition`), else null. An empty string means no condition. */
  readonly condition: string | null;
}

export interface Column {
  readonly name: string;
  /** `quote_ident` of the name, quoted by the server. */
  readonly quotedName: string;
  readonly type: ColumnType;
}

/** A column's type looked through domains. One object is shared by all columns of that type. */
export interface ColumnType {
  readonly oid: number;
  /** `pg_type.typtype`: b base, c composite, e enum, r range, m multirange, p pseudo; d (domain) only as the element of an array. */
  readonly typtype: string;
  /** `pg_catalog.int4`, `public.hstore`: namespace and name, unquoted. */
  readonly qualifiedName: string;
  /** Its OID was assigned by hand in PostgreSQL's sources (below 10000) and so is the same on every server. */
  readonly isBuiltIn: boolean;
  /**
   * Element type for a true array (`typcategory = 'A'`), subtype for a range or multirange; else null. A subtype is looked through domains; an array's
   * element is not, since binary arrays carry the element's OID, a domain's as well.
   */
  readonly element: ColumnType | null;
}

export interface Sequence {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly quotedName: string;
  /** The table that it belongs to: a serial's or an identity column's. */
  readonly ownerOid: number | null;
  /** 64-bit, as decimal text. */
  readonly lastValue: string;
  readonly isCalled: boolean;
}

export interface MaterializedView {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly quotedName: string;
}

export interface DatabaseSettings {
  readonly name: string;
  readonly owner: string;
  /** As PostgreSQL spells it, for example `UTF8`. */
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  /** `c` libc, `i` icu, `b` builtin. */
  readonly localeProvider: string;
  /** Of ICU, or of the builtin provider. */
  readonly icuLocale: string | null;
  /** From PostgreSQL 16 on. */
  readonly icuRules: string | null;
  /** Its default one. */
  readonly tablespace: string;
}

export interface ServerFacts {
  /** `server_version_num`. */
  readonly version: number;
  readonly versionText: string;
  /** Decimal text; empty where the role may not call `pg_control_system`. */
  readonly systemIdentifier: string;
  /** When the postmaster started, ISO 8601, UTC. */
  readonly startedAt: string;
  readonly isStandby: boolean;
  /** `block_size`: 8192 unless the server was built otherwise. */
  readonly blockSizeBytes: number;
}

/** A place in `pg_largeobject`, whose rows are ordered by both: the page of an object. */
export interface LargeObjectKey {
  readonly oid: number;
  readonly page: number;
}

/** A place that parts the pages, and about how many raw bytes lie from it to the next such place. */
export interface LargeObjectBoundary extends LargeObjectKey {
  readonly rawBytes: number;
}

/** The large objects of a database as a whole: no field grows with their number. */
export interface LargeObjectFacts {
  readonly objectCount: number;
  /** About how many bytes all pages hold: PostgreSQL compresses them. Where they cannot be read, the bytes of `pg_largeobject`'s main fork. */
  readonly contentBytes: number;
  /** Bytes of a page: a quarter of the server's block. */
  readonly pageSizeBytes: number;
  /** Whether this role may read `pg_largeobject`; else contents are read through the functions for large objects. */
  readonly canReadPages: boolean;
  /** Ascending, at most some hundred: they part the pages. Empty where there is little to part or pages cannot be read. */
  readonly pageBoundaries: readonly LargeObjectBoundary[];
  /** OIDs, ascending, at most some hundred: they part the objects into shares of about equal number. Empty where there are few. */
  readonly oidBoundaries: readonly number[];
}

/** An extension that somebody created in this database. */
export interface Extension {
  readonly name: string;
  readonly version: string;
  /** Its configuration tables among the saved relations. */
  readonly relationOids: readonly number[];
}

/** A schema that is not the server's own. */
export interface NamedSchema {
  readonly oid: number;
  readonly name: string;
}

/** A view (`v`), materialised view (`m`) or foreign table (`f`): saved by its definition. */
export interface OtherRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
}

/** A foreign key of a saved relation. */
export interface ForeignKey {
  /** Of the constraint. */
  readonly oid: number;
  readonly relationOid: number;
  /** Need not be saved. */
  readonly refersTo: NamedRelation;
  /** Whether it leads out of the backup: its referent is neither saved nor made by an extension that is. */
  readonly isOutward: boolean;
}

export interface NamedRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** What a saved relation needs that is neither saved nor made by an extension that is: what its rule or its query reads, its parent, or the table whose trigger it has a copy of. */
export interface OutwardReference {
  readonly kind: 'rule' | 'parent' | 'trigger';
  /** Of the rule, which is the query of a view; of a child the relation's; of the trigger that is a copy of the parent's. */
  readonly oid: number;
  readonly relationOid: number;
  readonly refersTo: NamedRelation;
}

export interface Catalog {
  readonly server: ServerFacts;
  readonly database: DatabaseSettings;
  /** Schemas that the role's sessions search, in their order. */
  readonly searchPath: readonly string[];
  readonly extensions: readonly Extension[];
  /** Names of roles and tablespaces that the database cannot be restored without, of roles with one of the objects that need it; null where that is not known. */
  readonly roles: readonly { readonly name: string; readonly object: string | null }[];
  readonly tablespaces: readonly string[];
  readonly schemas: readonly NamedSchema[];
  readonly otherRelations: readonly OtherRelation[];
  readonly foreignKeys: readonly ForeignKey[];
  readonly outwardReferences: readonly OutwardReference[];
  /** Relations and sequences whose rows or value the options leave out, with the reason. */
  readonly rowless: readonly (readonly [oid: number, reason: string])[];
  /** Ordered by schema and name, bytewise. */
  readonly relations: readonly Relation[];
  readonly sequences: readonly Sequence[];
  /** Populated ones, in an order in which they can be refreshed; those that read an unpopulated one cannot and are left out with a warning. */
  readonly materializedViews: readonly MaterializedView[];
  /** Null where there are none to be saved. */
  readonly largeObjects: LargeObjectFacts | null;
  /** What the user should know about parts of the database that will not be saved as they are. */
  readonly warnings: readonly string[];
}
