import { DbbackupError } from '../core/errors.js';
import { readLargeObjectFacts, readLargeObjectWarnings } from './large-objects.js';
import type {
  Catalog,
  Column,
  DatabaseSettings,
  Extension,
  ForeignKey,
  OutwardReference,
  Relation,
  Sequence,
  ServerFacts,
} from './model.js';
import { displayName, isAscii, isPassedThrough } from './names.js';
import {
  databaseQuery,
  definitionsQuery,
  extensionsQuery,
  foreignKeysQuery,
  otherRelationsQuery,
  outwardReferencesQuery,
  partedTablesQuery,
  relationsQuery,
  schemasQuery,
  searchPathQuery,
  sequencesQuery,
  sequenceValuesQuery,
  serverQuery,
  systemIdentifierQuery,
  typesQuery,
  viewDependenciesQuery,
  viewsQuery,
} from './queries.js';
import { forEachRow, type QuerySession, queryRow, type Row, toFlag, toNumber, toText } from './rows.js';
import { type Scope, wholeScope } from './scope.js';
import { toTrees } from './trees.js';
import { TypeResolver } from './types.js';
import { readUsedGlobals } from './used-globals.js';
import { orderRefresh } from './views.js';

/**
 * Reads the Catalog of the session's database, inside the caller's transaction and with the settings of `prelude('UTF8')`; what it sees is that
 * transaction's snapshot, except for sizes and sequences, which are those of now. Takes no locks that outlive it.
 * Cost: about sixteen round trips and one for each 200 sequences and 1000 relations; a few kB for each relation.
 * Errors: `permission_denied` for a sequence or large object that may not be read, `relation_changed` for one dropped meanwhile, `value_unsupported` for an extension's
 * condition that cannot be sent in the database's encoding and for a large object without an owner.
 */
export const introspect = async (session: QuerySession, scope: Scope = wholeScope): Promise<Catalog> => {
  const { oids, rowless } = scope;
  const server = await readServer(session);
  const database = await readDatabase(session, server.version);
  const types = new TypeResolver((await session.query(typesQuery(server.version, oids))).rows);
  const relations = await readRelations(session, types, oids);
  refuseForeignConditions(
    relations.filter(({ oid }) => !rowless.has(oid)),
    database.encoding,
  );
  const views = (await session.query(viewsQuery(oids))).rows.map((row) => ({
    ...toNames(row),
    kind: toText(row, 4),
    isPopulated: toFlag(row, 5),
  }));
  const dependencies = (await session.query(viewDependenciesQuery)).rows.map((row) => [toNumber(row, 0), toNumber(row, 1)] as const);
  const { materializedViews, warnings } = orderRefresh(views, dependencies);
  const sequences = await readSequences(session, scope);
  const largeObjects = scope.hasLargeObjects ? await readLargeObjectFacts(session, server.blockSizeBytes) : null;
  const outwardReferences =
    oids === null ? [] : (await session.query(outwardReferencesQuery(oids, scope.hasExtensions))).rows.map(toOutwardReference);
  const parted = scope.isNamingTables && oids !== null ? (await session.query(partedTablesQuery(oids))).rows : [];
  const used = await readUsedGlobals(session, server.version);
  return {
    server,
    database,
    searchPath: await readSearchPath(session),
    extensions: await readExtensions(session, relations),
    roles: used.filter(({ kind }) => kind === 'role').map(({ name, object }) => ({ name, object })),
    tablespaces: used.filter(({ kind }) => kind === 'tablespace').map(({ name }) => name),
    schemas: (await session.query(schemasQuery)).rows.map((row) => ({ oid: toNumber(row, 0), name: toText(row, 1) })),
    otherRelations: (await session.query(otherRelationsQuery(oids))).rows.map((row) => ({
      oid: toNumber(row, 0),
      schema: toText(row, 1),
      name: toText(row, 2),
      kind: toText(row, 4),
    })),
    foreignKeys: (await session.query(foreignKeysQuery(oids, scope.hasExtensions))).rows.map(toForeignKey),
    outwardReferences,
    rowless: [...rowless],
    relations,
    sequences,
    materializedViews: scope.isRefreshing ? materializedViews.filter(({ oid }) => !rowless.has(oid)) : [],
    largeObjects,
    warnings: [
      ...warnings,
      ...parted.map((row) => withoutPartitions({ schema: toText(row, 0), name: toText(row, 1) })),
      ...(scope.hasLargeObjects ? await readLargeObjectWarnings(session) : []),
      ...warnOfOutside(outwardReferences, views),
    ],
  };
};

/** Views that read what is not saved. */
const warnOfOutside = (
  references: readonly OutwardReference[],
  views: readonly { readonly oid: number; readonly schema: string; readonly name: string }[],
): readonly string[] => {
  const names = new Map(views.map((view) => [view.oid, displayName(view)]));
  return references.flatMap(({ kind, relationOid, refersTo }) => {
    const name = names.get(relationOid);
    if (kind !== 'rule' || name === undefined) return [];
    return [`${name} reads ${displayName(refersTo)}, which is not saved: a restore makes it only where that is`];
  });
};

const withoutPartitions = (table: { readonly schema: string; readonly name: string }): string =>
  `not all partitions of ${displayName(table)} are saved with it: name them as well, for example by a pattern that ends in *`;

const readSearchPath = async (session: QuerySession): Promise<readonly string[]> => {
  await session.query('RESET search_path');
  const path = JSON.parse(toText(await queryRow(session, searchPathQuery), 0)) as readonly string[];
  await session.query("SELECT pg_catalog.set_config('search_path', '', false)");
  return path;
};

const readExtensions = async (session: QuerySession, relations: readonly Relation[]): Promise<readonly Extension[]> => {
  const { rows } = await session.query(extensionsQuery);
  if (rows.length === 0) return [];
  const saved = new Set(relations.map(({ oid }) => oid));
  return rows.map((row) => ({
    name: toText(row, 0),
    version: toText(row, 1),
    relationOids: (JSON.parse(toText(row, 2)) as readonly number[]).filter((oid) => saved.has(oid)),
  }));
};

const toForeignKey = (row: Row): ForeignKey => ({
  oid: toNumber(row, 0),
  relationOid: toNumber(row, 1),
  refersTo: { oid: toNumber(row, 2), schema: toText(row, 3), name: toText(row, 4) },
  isOutward: toFlag(row, 5),
});

const referenceKinds = ['rule', 'parent', 'trigger'] as const;

const toOutwardReference = (row: Row): OutwardReference => ({
  kind: referenceKinds.find((kind) => kind === toText(row, 0)) ?? 'parent',
  oid: toNumber(row, 1),
  relationOid: toNumber(row, 2),
  refersTo: { oid: toNumber(row, 3), schema: toText(row, 4), name: toText(row, 5) },
});

/** Which cluster of databases a server runs, as decimal text; empty where the role may not read it. */
export const readSystemIdentifier = async (session: QuerySession): Promise<string> => (await readServer(session)).systemIdentifier;

const readServer = async (session: QuerySession): Promise<ServerFacts> => {
  const row = await queryRow(session, serverQuery);
  return {
    version: toNumber(row, 0),
    versionText: toText(row, 1),
    systemIdentifier: toFlag(row, 5) ? toText(await queryRow(session, systemIdentifierQuery), 0) : '',
    startedAt: toText(row, 2),
    isStandby: toFlag(row, 3),
    blockSizeBytes: toNumber(row, 4),
  };
};

const readDatabase = async (session: QuerySession, version: number): Promise<DatabaseSettings> => {
  const row = await queryRow(session, databaseQuery(version));
  return {
    name: toText(row, 0),
    owner: toText(row, 1),
    encoding: toText(row, 2),
    collate: toText(row, 3),
    ctype: toText(row, 4),
    localeProvider: toText(row, 5),
    icuLocale: row[6] ?? null,
    icuRules: row[7] ?? null,
    tablespace: toText(row, 8),
  };
};

const readRelations = async (session: QuerySession, types: TypeResolver, oids: string | null): Promise<readonly Relation[]> => {
  const relations: Relation[] = [];
  const parents = new Map<number, number>();
  const movingOids = new Set<number>();
  const columns = createColumnCache(types);
  await forEachRow(session, relationsQuery(oids), (row) => {
    const names = toNames(row);
    const parent = row[10] ?? null;
    if (parent !== null) parents.set(names.oid, Number(parent));
    if (toFlag(row, 14)) movingOids.add(names.oid);
    relations.push({
      ...names,
      kind: toText(row, 4) === 'p' ? 'p' : 'r',
      accessMethod: row[5] ?? null,
      fileNode: toNumber(row, 6),
      heapBytes: toNumber(row, 7),
      toastBytes: toNumber(row, 8),
      estimatedRowCount: toNumber(row, 9),
      partitionRootOid: null,
      treeOid: null,
      definition: '',
      isRootNeeded: false,
      isUnlogged: toFlag(row, 11),
      condition: row[12] ?? null,
      columns: columns(row[13] ?? '[]'),
    });
  });
  const definitions = new Map<number, string>();
  const links: (readonly [number, number])[] = [];
  await forEachRow(session, definitionsQuery(oids), (row) => {
    const oid = toNumber(row, 0);
    definitions.set(oid, toText(row, 1));
    for (const parent of JSON.parse(row[2] ?? '[]') as readonly number[]) links.push([oid, parent]);
  });
  const trees = toTrees(links);
  const byOid = new Map(relations.map((relation) => [relation.oid, relation]));
  return relations.map((bare) => {
    const relation = { ...bare, treeOid: trees.get(bare.oid) ?? null, definition: definitions.get(bare.oid) ?? '' };
    if (!parents.has(relation.oid)) return relation;
    const partitionRootOid = rootOf(relation.oid, parents);
    const columns = orderAs(relation.columns, byOid.get(partitionRootOid)?.columns ?? []);
    return { ...relation, partitionRootOid, isRootNeeded: hasAncestorIn(relation.oid, parents, movingOids), columns };
  });
};

const rootOf = (oid: number, parents: ReadonlyMap<number, number>): number => {
  let root = oid;
  for (let parent = parents.get(root); parent !== undefined; parent = parents.get(root)) root = parent;
  return root;
};

/** A partition's columns as its root has them: rows read alike add up to the same digest, whichever partition they come back to. */
const orderAs = (columns: readonly Column[], wanted: readonly Column[]): readonly Column[] => {
  const names = new Set(columns.map(({ name }) => name));
  return columns.length === wanted.length && wanted.every(({ name }) => names.has(name)) ? wanted : columns;
};

const hasAncestorIn = (oid: number, parents: ReadonlyMap<number, number>, oids: ReadonlySet<number>): boolean => {
  for (let parent = parents.get(oid); parent !== undefined; parent = parents.get(parent)) if (oids.has(parent)) return true;
  return false;
};

/** Parses columns; equal ones, as partitions have them by the thousand, become one object. */
const createColumnCache = (types: TypeResolver): ((json: string) => readonly Column[]) => {
  const cache = new Map<string, Column>();
  return (json) => {
    const parsed = JSON.parse(json) as readonly (readonly [string, string | null, number])[];
    return parsed.map(([name, quotedName, typeOid]) => {
      const key = `${typeOid} ${name}`;
      const known = cache.get(key);
      if (known !== undefined) return known;
      const column = { name, quotedName: quotedName ?? name, type: types.resolve(typeOid) };
      cache.set(key, column);
      return column;
    });
  };
};

/** Locks on 20 000 sequences would fill the server's lock table: each batch gives its locks back with a savepoint. */
const sequencesPerQuery = 200;

const readSequences = async (session: QuerySession, { oids, rowless }: Scope): Promise<readonly Sequence[]> => {
  const listed = (await session.query(sequencesQuery(oids))).rows
    .map((row) => ({ ...toNames(row), ownerOid: typeof row[4] === 'string' ? Number(row[4]) : null }))
    .filter(({ oid }) => !rowless.has(oid));
  const sequences: Sequence[] = [];
  for (let begin = 0; begin < listed.length; begin += sequencesPerQuery) {
    const batch = listed.slice(begin, begin + sequencesPerQuery);
    await session.query('SAVEPOINT dbbackup_sequences');
    const values = new Map((await session.query(sequenceValuesQuery(batch))).rows.map((row) => [toNumber(row, 0), row]));
    await session.query('ROLLBACK TO SAVEPOINT dbbackup_sequences; RELEASE SAVEPOINT dbbackup_sequences');
    for (const names of batch) {
      const value = values.get(names.oid);
      if (value === undefined)
        throw new DbbackupError('relation_changed', `sequence ${displayName(names)} has no value`, {
          details: { object: displayName(names) },
        });
      sequences.push({ ...names, lastValue: toText(value, 1), isCalled: toFlag(value, 2) });
    }
  }
  return sequences;
};

const toNames = (row: Row): { readonly oid: number; readonly schema: string; readonly name: string; readonly quotedName: string } => ({
  oid: toNumber(row, 0),
  schema: toText(row, 1),
  name: toText(row, 2),
  quotedName: toText(row, 3),
});

/** A condition is SQL of any shape: nothing can be rewritten in it to survive a change of encoding, and as it is it would mean something else. */
const refuseForeignConditions = (relations: readonly Relation[], encoding: string): void => {
  if (isPassedThrough(encoding)) return;
  const refused = relations.find(({ condition }) => condition !== null && !isAscii(condition));
  if (refused === undefined) return;
  const object = displayName(refused);
  throw new DbbackupError(
    'value_unsupported',
    `the extension's condition for ${object} is not ASCII, in a database encoded in ${encoding}`,
    { details: { object } },
  );
};
