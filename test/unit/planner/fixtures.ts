import type { Catalog, Column, ColumnType, Relation, ServerFacts } from '#src/catalog/model.js';

export const server: ServerFacts = {
  version: 150018,
  versionText: '15.18',
  systemIdentifier: '7711044696468880650',
  startedAt: '2026-01-01T00:00:00.000Z',
  isStandby: false,
  blockSizeBytes: 8192,
};

/** A built-in base type. */
export const builtIn = (name: string, fields: Partial<ColumnType> = {}): ColumnType => ({
  oid: 25,
  typtype: 'b',
  qualifiedName: `pg_catalog.${name}`,
  isBuiltIn: true,
  element: null,
  ...fields,
});

/** A type that somebody created. */
export const ownType = (name: string, fields: Partial<ColumnType> = {}): ColumnType => ({
  ...builtIn(name),
  oid: 16500,
  qualifiedName: `public.${name}`,
  isBuiltIn: false,
  ...fields,
});

export const column = (name: string, type: ColumnType): Column => ({ name, quotedName: name, type });

let lastOid = 20000;

/** An empty heap table of one integer column, unless `fields` say otherwise. */
export const makeRelation = (fields: Partial<Relation> = {}): Relation => {
  lastOid += 1;
  const name = fields.name ?? `t${lastOid}`;
  return {
    oid: lastOid,
    schema: 'public',
    name,
    quotedName: `public.${name}`,
    kind: 'r',
    accessMethod: 'heap',
    fileNode: lastOid,
    heapBytes: 0,
    toastBytes: 0,
    estimatedRowCount: -1,
    partitionRootOid: null,
    treeOid: null,
    definition: '1',
    isRootNeeded: false,
    isUnlogged: false,
    columns: [column('id', builtIn('int4'))],
    condition: null,
    ...fields,
  };
};

export const makeCatalog = (relations: readonly Relation[], facts: Partial<ServerFacts> = {}): Catalog => ({
  server: { ...server, ...facts },
  database: {
    name: 'demo',
    owner: 'postgres',
    encoding: 'UTF8',
    collate: 'C',
    ctype: 'C',
    localeProvider: 'c',
    icuLocale: null,
    icuRules: null,
    tablespace: 'pg_default',
  },
  searchPath: ['public'],
  extensions: [],
  roles: [],
  tablespaces: [],
  schemas: [],
  otherRelations: [],
  foreignKeys: [],
  outwardReferences: [],
  rowless: [],
  relations,
  sequences: [],
  materializedViews: [],
  largeObjects: null,
  warnings: [],
});
