import { displayName } from '../catalog/names.js';
import { DbbackupError } from '../core/errors.js';
import { isEverything, isNarrowed } from '../core/selection.js';
import { toOutwardKeys } from '../manifest/outward.js';
import type { Manifest, ManifestDatabase } from '../manifest/schema.js';
import type { Session } from '../native/session.js';
import { type ArchiveEntry, pgClassOid, pgNamespaceOid } from '../tools/archive-list.js';
import { type EntrySelection, selectEntries } from '../tools/archive-selection.js';
import { type RestoreChoice, reduceDatabase } from './restore-choice.js';
import { checkEmpty, findUserObject } from './target.js';

/** What is done to one target. */
export interface RestoreScope {
  /** The backup's database, less what is not wanted: what rows, sequences and views are taken from. */
  readonly database: ManifestDatabase;
  /** Those of the archive to be restored, in its order. */
  readonly entries: readonly ArchiveEntry[];
  /** As in `SelectedEntries`. */
  readonly lateEntries: readonly ArchiveEntry[];
  /** Every entry is wanted: pg_restore needs no list. */
  readonly isWhole: boolean;
  readonly warnings: readonly string[];
}

/** The archive: its entries, and those that pg_restore picks by the names of schemas. */
export interface ListedArchive {
  readonly entries: readonly ArchiveEntry[];
  listIds(schemas: readonly string[], excludedSchemas: readonly string[]): Promise<ReadonlySet<number>>;
}

/** What a target has of a backup, by OIDs in the source; foreign keys may refer to relations outside the backup. */
export interface Present {
  readonly isEmpty: boolean;
  readonly relationOids: ReadonlySet<number>;
  readonly schemaOids: ReadonlySet<number>;
}

export const emptyTarget: Present = { isEmpty: true, relationOids: new Set(), schemaOids: new Set() };

/**
 * Asks the target what it has. Errors: `target_not_empty` for one that holds anything, unless only named tables or schemas, or no definitions, are restored.
 */
export const examineTarget = async (session: Session, database: ManifestDatabase, { selection }: RestoreChoice): Promise<Present> => {
  if (selection.sections.includes('pre-data') && !isNarrowed(selection)) {
    await checkEmpty(session);
    return { ...emptyTarget, schemaOids: await findSchemas(session, database) };
  }
  return findPresent(session, database);
};

/** What the target has of a backup. */
export const findPresent = async (session: Session, database: ManifestDatabase): Promise<Present> => {
  const isEmpty = (await findUserObject(session)) === null;
  const saved = new Set(database.relations.map(({ oid }) => oid));
  const outside = [...database.foreignKeys, ...database.outwardReferences]
    .map(({ refersTo }) => refersTo)
    .filter(({ oid }) => !saved.has(oid));
  const named = [...database.relations, ...database.otherRelations, ...database.sequences, ...outside];
  const relations = await findNames(session, named);
  return {
    isEmpty,
    relationOids: new Set(named.filter((_, index) => relations.has(index)).map(({ oid }) => oid)),
    schemaOids: await findSchemas(session, database),
  };
};

/** Indexes of those names that are relations of the target. */
const findNames = async (
  session: Session,
  names: readonly { readonly schema: string; readonly name: string }[],
): Promise<ReadonlySet<number>> => {
  if (names.length === 0) return new Set();
  const sql = `SELECT u.number FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) WITH ORDINALITY u(schema, name, number)
  JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.name`;
  const { rows } = await session.query(sql, [toTextArray(names.map(({ schema }) => schema)), toTextArray(names.map(({ name }) => name))]);
  return new Set(rows.map(([number]) => Number(number) - 1));
};

/** By OID in the source. */
const findSchemas = async (session: Session, { schemas }: ManifestDatabase): Promise<ReadonlySet<number>> => {
  const sql = 'SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($1::pg_catalog.text[])';
  const { rows } = await session.query(sql, [toTextArray(schemas.map(({ name }) => name))]);
  const found = new Set(rows.map(([name]) => name));
  return new Set(schemas.filter(({ name }) => found.has(name)).map(({ oid }) => oid));
};

/** A text array for a parameter. */
export const toTextArray = (values: readonly string[]): string =>
  `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;

/** Whether the backup is one of named schemas. */
export const areSchemasNamed = ({ options }: Manifest): boolean => (options.selection?.schemas.length ?? 0) > 0;

/**
 * Which entries and rows go into a target that has `present`. `areSchemasNamed`: the backup is one of named schemas. Errors: `target_not_empty` naming a relation that is to be made and is there.
 */
export const scopeRestore = async (
  database: ManifestDatabase,
  archive: ListedArchive,
  choice: RestoreChoice,
  present: Present,
  areSchemasNamed: boolean,
): Promise<RestoreScope> => {
  const { selection, schemas, excludedSchemas, relationOids } = choice;
  // An archive of named schemas makes `public`, which any database has; one of everything holds no more of it than its owner.
  const hasPublicTwice =
    areSchemasNamed && archive.entries.some(({ catalogOid, oid }) => catalogOid === pgNamespaceOid && present.schemaOids.has(oid));
  const known = new Set(archive.entries.filter(({ catalogOid }) => catalogOid === pgClassOid).map(({ oid }) => oid));
  if (isEverything(selection) && toOutwardKeys(database).length === 0 && database.outwardReferences.length === 0 && !hasPublicTwice)
    return { database, entries: archive.entries, lateEntries: [], isWhole: true, warnings: [] };
  const hasDefinitions = selection.sections.includes('pre-data');
  const excludedOids = new Set(excludedSchemas.map(({ oid }) => oid));
  const isListing = schemas !== null || excludedSchemas.length > 0;
  const entrySelection: EntrySelection = {
    relationOids,
    isNamed: selection.tables.length > 0,
    listedIds: isListing
      ? schemas?.length === 0
        ? new Set<number>()
        : await archive.listIds(
            (schemas ?? []).map(({ name }) => name),
            excludedSchemas.map(({ name }) => name),
          )
      : null,
    schemaOids: new Set((schemas ?? database.schemas).map(({ oid }) => oid).filter((oid) => !excludedOids.has(oid))),
    presentSchemaOids: present.schemaOids,
    isBringingNeeds: present.isEmpty && hasDefinitions,
    isCreating: hasDefinitions,
    presentOids: hasDefinitions ? present.relationOids : new Set([...relationOids, ...known, ...present.relationOids]),
    excludedOids: choice.excludedOids,
    foreignKeys: new Map(
      database.foreignKeys.map(({ oid, relationOid, refersTo, isOutward }) => [oid, { relationOid, referentOid: refersTo.oid, isOutward }]),
    ),
    outwardReferences: database.outwardReferences.map((reference) => ({
      ...reference,
      refersTo: { oid: reference.refersTo.oid, name: displayName(reference.refersTo) },
    })),
  };
  const selected = selectEntries(archive.entries, entrySelection);
  if (hasDefinitions) refusePresent(database, selected.relationOids, present);
  return {
    database: reduceDatabase(database, choice, selected.relationOids, known),
    entries: selected.entries,
    // Without the indexes there is nothing to wait for.
    lateEntries: selection.sections.includes('post-data') ? selected.lateEntries : [],
    isWhole: false,
    warnings: [
      ...findParted(database, choice),
      ...(selection.sections.length === 1 && selection.sections[0] === 'data' ? [] : selected.warnings),
    ],
  };
};

/** Partitioned tables that were named without all of their partitions, as warnings. */
const findParted = ({ relations }: ManifestDatabase, { selection, relationOids }: RestoreChoice): readonly string[] => {
  if (selection.tables.length === 0) return [];
  const parted = new Set(relations.filter(({ oid }) => !relationOids.has(oid)).map(({ partitionRootOid }) => partitionRootOid));
  return relations
    .filter(({ oid, kind }) => kind === 'p' && relationOids.has(oid) && parted.has(oid))
    .map(
      (relation) =>
        `not all partitions of ${displayName(relation)} are restored with it: name them as well, for example by a pattern that ends in *`,
    );
};

const refusePresent = (database: ManifestDatabase, restored: ReadonlySet<number>, present: Present): void => {
  const first = [...database.relations, ...database.otherRelations, ...database.sequences].find(
    ({ oid }) => restored.has(oid) && present.relationOids.has(oid),
  );
  if (first === undefined) return;
  const object = displayName(first);
  throw new DbbackupError('target_not_empty', `the target already holds ${object}`, {
    details: { object, hint: 'Drop it there, or load its rows alone with --data-only.' },
  });
};
