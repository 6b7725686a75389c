import { DbbackupError } from './errors.js';

export const sectionNames = ['pre-data', 'data', 'post-data'] as const;

/** A section of a backup, as pg_dump names them: definitions that rows need; rows, large objects and values of sequences; indexes, constraints, triggers and the like. */
export type SectionName = (typeof sectionNames)[number];

/** Which part of a database is meant. Patterns are psql's, as pg_dump takes them. */
export interface SelectionOptions {
  /** Only relations that match one of these, and what belongs to them; `schemas` does not count then. Default: all. */
  readonly tables?: readonly string[];
  /** Relations that are left out. */
  readonly excludedTables?: readonly string[];
  /** Relations whose rows are left out. */
  readonly excludedTableData?: readonly string[];
  /** Only what is in a schema that matches one of these. Default: all. */
  readonly schemas?: readonly string[];
  readonly excludedSchemas?: readonly string[];
  /** No rows. Default: false. */
  readonly isSchemaOnly?: boolean;
  /** No definitions. Default: false. */
  readonly isDataOnly?: boolean;
  /** Default: all three. */
  readonly sections?: readonly SectionName[];
}

/** SelectionOptions with the defaults filled in. */
export interface Selection {
  readonly tables: readonly string[];
  readonly excludedTables: readonly string[];
  readonly excludedTableData: readonly string[];
  readonly schemas: readonly string[];
  readonly excludedSchemas: readonly string[];
  /** In their order. */
  readonly sections: readonly SectionName[];
  /** Materialised views are refreshed: they are behind the rows in `post-data`, and part of what `isDataOnly` loads. */
  readonly isRefreshing: boolean;
}

/** Errors: `usage` for options that contradict each other. */
export const toSelection = (options: SelectionOptions): Selection => {
  const { isSchemaOnly = false, isDataOnly = false, sections = [] } = options;
  if (isSchemaOnly && isDataOnly) throw new DbbackupError('usage', 'a selection cannot be schema only and data only');
  if (sections.length > 0 && (isSchemaOnly || isDataOnly))
    throw new DbbackupError('usage', 'sections cannot be combined with schema only or data only');
  const wanted: readonly SectionName[] = isSchemaOnly
    ? ['pre-data', 'post-data']
    : isDataOnly
      ? ['data']
      : sections.length > 0
        ? sections
        : sectionNames;
  return {
    tables: options.tables ?? [],
    excludedTables: options.excludedTables ?? [],
    excludedTableData: options.excludedTableData ?? [],
    schemas: options.schemas ?? [],
    excludedSchemas: options.excludedSchemas ?? [],
    sections: sectionNames.filter((name) => wanted.includes(name)),
    isRefreshing: !isSchemaOnly && (isDataOnly || wanted.includes('post-data')),
  };
};

/** Whether only named relations or schemas are meant, so that what belongs to the database as a whole is not. */
export const isNarrowed = ({ tables, schemas }: Selection): boolean => tables.length > 0 || schemas.length > 0;

/** Whether patterns choose among the database's objects. */
export const hasPatterns = (selection: Selection): boolean =>
  isNarrowed(selection) || selection.excludedTables.length > 0 || selection.excludedSchemas.length > 0;

export const isEverything = (selection: Selection): boolean =>
  !hasPatterns(selection) && selection.excludedTableData.length === 0 && selection.sections.length === sectionNames.length;
