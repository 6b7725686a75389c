import { DbbackupError } from '../core/errors.js';
import { type MatchableName, parseNamePattern, toRelationMatcher, toSchemaMatcher } from '../core/name-pattern.js';
import { hasPatterns, type Selection } from '../core/selection.js';
import type { ManifestDatabase } from '../manifest/schema.js';

/** What of a backed up database is wanted, by the names and OIDs in its manifest. */
export interface RestoreChoice {
  readonly selection: Selection;
  /** Relations of every kind that are wanted: all, or those that match. */
  readonly relationOids: ReadonlySet<number>;
  /** Those among them whose rows are not. */
  readonly rowlessOids: ReadonlySet<number>;
  /** Schemas that are wanted as a whole; null unless schemas are chosen. */
  readonly schemas: ManifestDatabase['schemas'] | null;
  readonly excludedSchemas: ManifestDatabase['schemas'];
  /** Relations that were excluded, by their own names or their schemas'. */
  readonly excludedOids: ReadonlySet<number>;
}

interface Candidate extends MatchableName {
  readonly oid: number;
}

/**
 * Matches the patterns against the manifest, with the meaning they have in a backup; a name without a schema means what the source's search path showed. Pure.
 * Errors: `usage` for a pattern that matches nothing, but for exclusions.
 */
export const chooseRestore = (database: ManifestDatabase, selection: Selection): RestoreChoice => {
  const candidates = toCandidates(database);
  if (!hasPatterns(selection) && selection.excludedTableData.length === 0) {
    const relationOids = new Set(candidates.map(({ oid }) => oid));
    return { selection, relationOids, rowlessOids: new Set(), schemas: null, excludedSchemas: [], excludedOids: new Set() };
  }
  const tables = matchRelations(candidates, selection.tables, database.name, true);
  const excluded = matchRelations(candidates, selection.excludedTables, database.name, false);
  const rowlessOids = matchRelations(candidates, selection.excludedTableData, database.name, false);
  const excludedSchemas = matchSchemas(database, selection.excludedSchemas, false);
  const schemas = matchSchemas(database, selection.schemas, true).filter((schema) => !excludedSchemas.includes(schema));
  const schemaNames = new Set(schemas.map(({ name }) => name));
  const excludedNames = new Set(excludedSchemas.map(({ name }) => name));
  const isWanted = ({ oid, schema }: Candidate): boolean => {
    if (excluded.has(oid)) return false;
    if (selection.tables.length > 0) return tables.has(oid);
    return selection.schemas.length > 0 ? schemaNames.has(schema) : !excludedNames.has(schema);
  };
  return {
    selection,
    relationOids: new Set(candidates.filter(isWanted).map(({ oid }) => oid)),
    rowlessOids,
    schemas: selection.tables.length === 0 && selection.schemas.length > 0 ? schemas : null,
    excludedSchemas,
    excludedOids: new Set(candidates.filter(({ oid, schema }) => excluded.has(oid) || excludedNames.has(schema)).map(({ oid }) => oid)),
  };
};

const toCandidates = (database: ManifestDatabase): readonly Candidate[] => {
  const all = [...database.relations, ...database.otherRelations, ...database.sequences];
  const rank = new Map(database.searchPath.map((schema, index) => [schema, index]));
  const first = new Map<string, number>();
  for (const { schema, name } of all) {
    const own = rank.get(schema);
    if (own !== undefined) first.set(name, Math.min(first.get(name) ?? own, own));
  }
  return all.map(({ oid, schema, name }) => ({
    oid,
    schema,
    name,
    isVisible: rank.has(schema) && first.get(name) === rank.get(schema),
  }));
};

const matchRelations = (
  candidates: readonly Candidate[],
  patterns: readonly string[],
  database: string,
  isStrict: boolean,
): ReadonlySet<number> => {
  const oids = new Set<number>();
  for (const text of patterns) {
    const found = candidates.filter(toRelationMatcher(parseNamePattern(text, 'table', database)));
    if (found.length === 0 && isStrict) throw matchesNothing('table', text);
    for (const { oid } of found) oids.add(oid);
  }
  return oids;
};

const matchSchemas = (database: ManifestDatabase, patterns: readonly string[], isStrict: boolean): ManifestDatabase['schemas'] => {
  const matched = new Set<number>();
  for (const text of patterns) {
    const isMatch = toSchemaMatcher(parseNamePattern(text, 'schema', database.name));
    const found = database.schemas.filter(({ name }) => isMatch(name));
    if (found.length === 0 && isStrict) throw matchesNothing('schema', text);
    for (const { oid } of found) matched.add(oid);
  }
  return database.schemas.filter(({ oid }) => matched.has(oid));
};

const matchesNothing = (kind: string, text: string): DbbackupError =>
  new DbbackupError('usage', `no ${kind} of the backup matches the pattern ${JSON.stringify(text)}`, {
    details: {
      object: text,
      hint: 'dbbackup show tells what the backup holds. A name without a schema means what the search path showed.',
    },
  });

/**
 * The part of the database whose rows are loaded: relations, sequences, views to refresh, large objects. `restored`: relations whose definitions the archive brings, `known`: those
 * it holds; what it does not hold is an extension's.
 */
export const reduceDatabase = (
  database: ManifestDatabase,
  choice: RestoreChoice,
  restored: ReadonlySet<number>,
  known: ReadonlySet<number>,
): ManifestDatabase => {
  const { selection, relationOids, rowlessOids } = choice;
  const hasData = selection.sections.includes('data');
  const isLoaded = (oid: number): boolean =>
    hasData && !rowlessOids.has(oid) && (relationOids.has(oid) || (restored.has(oid) && !relationOids.has(oid) && isOwned(oid)));
  // A sequence that came with its table has its value, too.
  const sequenceOids = new Set(database.sequences.map(({ oid }) => oid));
  const isOwned = (oid: number): boolean => sequenceOids.has(oid);
  // An archive without definitions does not tell that a sequence comes with its table.
  const isWithOwner = (oid: number, ownerOid: number | null): boolean =>
    hasData && ownerOid !== null && relationOids.has(ownerOid) && !rowlessOids.has(oid) && !choice.excludedOids.has(oid);
  const isThere = (oid: number): boolean => restored.has(oid) || !known.has(oid);
  const viewOids = new Map(database.otherRelations.map(({ oid, schema, name }) => [JSON.stringify([schema, name]), oid]));
  const isPartial = selection.tables.length > 0 || selection.schemas.length > 0;
  return {
    ...database,
    relations: database.relations.filter(({ oid, kind }) => isThere(oid) && (isLoaded(oid) || (kind === 'p' && hasData))),
    sequences: database.sequences.filter(({ oid, ownerOid }) => isThere(oid) && (isLoaded(oid) || isWithOwner(oid, ownerOid))),
    materializedViews: selection.isRefreshing
      ? database.materializedViews.filter(({ schema, name }) => {
          const oid = viewOids.get(JSON.stringify([schema, name])) ?? -1;
          return relationOids.has(oid) && isThere(oid) && !rowlessOids.has(oid);
        })
      : [],
    largeObjects: hasData && !isPartial ? database.largeObjects : null,
  };
};
