import { DbbackupError } from '../core/errors.js';
import { type NamePattern, parseNamePattern, toServerRegex } from '../core/name-pattern.js';
import { isNarrowed, type Selection } from '../core/selection.js';
import { prelude } from './prelude.js';
import { type QuerySession, queryRow, toText } from './rows.js';

/** What of the database is saved, by OID. */
export interface Scope {
  /** Relations of every kind whose definitions are saved, as an array literal `{1,2}`; null for all. */
  readonly oids: string | null;
  /** Relations whose rows or value the options leave out, with the reason; those outside `oids` may be among them. */
  readonly rowless: ReadonlyMap<number, string>;
  /** Whether large objects are saved. */
  readonly hasLargeObjects: boolean;
  /** Whether tables were named: partitions of one do not come with it, which is worth a warning. */
  readonly isNamingTables: boolean;
  /** Whether extensions are saved: pg_dump leaves them out where tables or schemas are named. */
  readonly hasExtensions: boolean;
  /** Whether materialised views are to be refreshed by a restore. */
  readonly isRefreshing: boolean;
}

/** What a backup takes part of. */
export interface ScopeOptions {
  readonly selection: Selection;
  readonly isUnloggedDataLeftOut: boolean;
  /** Null: as pg_dump decides, which leaves them out where tables or schemas are named. */
  readonly hasLargeObjects: boolean | null;
}

/** Everything: no query is needed. */
export const wholeScope: Scope = {
  oids: null,
  rowless: new Map(),
  hasLargeObjects: true,
  isNamingTables: false,
  hasExtensions: true,
  isRefreshing: true,
};

/**
 * Matches the patterns on the server, inside the caller's transaction if there is one, and follows pg_dump in what they mean (`selectDumpableTable`, `getOwnedSeqs`, `processExtensionTables`;
 * src/bin/pg_dump/pg_dump.c): named tables count alone, exclusions count last, a sequence comes with the table that owns it. No system schema is ever meant.
 * Leaves the search path empty, as it found it. Cost: a round trip for each pattern and two more; some bytes for each relation.
 * Errors: `usage` for a pattern that matches nothing, but for exclusions, and for one that is no regular expression.
 */
export const readScope = async (
  session: QuerySession,
  { selection, isUnloggedDataLeftOut, hasLargeObjects }: ScopeOptions,
  database: string,
): Promise<Scope> => {
  const { tables, excludedTables, excludedTableData, schemas, excludedSchemas, sections } = selection;
  const matchTables = (patterns: readonly string[], isStrict: boolean): Promise<readonly number[]> =>
    match(session, patterns, 'table', database, isStrict);
  const matchSchemas = (patterns: readonly string[], isStrict: boolean): Promise<readonly number[]> =>
    match(session, patterns, 'schema', database, isStrict);
  const chosen = {
    schemas: await matchSchemas(schemas, true),
    excludedSchemas: await matchSchemas(excludedSchemas, false),
    tables: await matchTables(tables, true),
    excludedTables: await matchTables(excludedTables, false),
  };
  const rowless = new Map<number, string>();
  for (const oid of await matchTables(excludedTableData, false)) rowless.set(oid, 'its rows were excluded');
  if (isUnloggedDataLeftOut) {
    const { rows } = await session.query(
      `SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'S')`,
    );
    for (const [oid] of rows) rowless.set(Number(oid), 'unlogged tables were left out');
  }
  const narrowed = isNarrowed(selection);
  const isChoosing = narrowed || chosen.excludedSchemas.length > 0 || chosen.excludedTables.length > 0;
  const withLargeObjects = hasLargeObjects ?? !narrowed;
  if (!sections.includes('data')) {
    const { rows } = await session.query(`SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'S')`);
    for (const [oid] of rows) rowless.set(Number(oid), 'only definitions were chosen');
  }
  return {
    oids: isChoosing ? await readOids(session, narrowed, tables.length > 0, chosen) : null,
    rowless,
    hasLargeObjects: withLargeObjects && sections.includes('data'),
    isNamingTables: tables.length > 0,
    hasExtensions: !narrowed,
    isRefreshing: selection.isRefreshing,
  };
};

/** Errors: those of `readScope`, before anything is begun. `session` gets the settings of a reading one. */
export const checkScope = async (session: QuerySession, options: ScopeOptions): Promise<void> => {
  for (const sql of prelude('UTF8')) await session.query(sql);
  await readScope(session, options, toText(await queryRow(session, 'SELECT pg_catalog.current_database()'), 0));
};

const match = async (
  session: QuerySession,
  patterns: readonly string[],
  kind: 'table' | 'schema',
  database: string,
  isStrict: boolean,
): Promise<readonly number[]> => {
  if (patterns.length === 0) return [];
  const oids = new Set<number>();
  // What a name without a schema means is what it means in the role's own sessions; everything else is qualified.
  await session.query('RESET search_path');
  for (const text of patterns) {
    const pattern = parseNamePattern(text, kind, database);
    const { rows } = await session.query(kind === 'table' ? tableQuery(pattern) : schemaQuery, toParameters(pattern)).catch((error) => {
      throw explainRegex(error, text);
    });
    if (rows.length === 0 && isStrict)
      throw new DbbackupError('usage', `no ${kind} matches the pattern ${JSON.stringify(text)}`, {
        details: {
          object: text,
          hint: kind === 'table' ? 'A name without a schema means what the search path shows.' : 'See \\dn in psql.',
        },
      });
    for (const [oid] of rows) oids.add(Number(oid));
  }
  await session.query("SELECT pg_catalog.set_config('search_path', '', false)");
  return [...oids];
};

/** 2201B: invalid_regular_expression. */
const explainRegex = (error: unknown, text: string): unknown =>
  error instanceof DbbackupError && error.details.sqlstate === '2201B'
    ? new DbbackupError('usage', `the pattern ${JSON.stringify(text)} is no regular expression: ${error.message}`, {
        cause: error,
        details: { object: text, hint: 'Put characters that stand for themselves into double quotes.' },
      })
    : error;

const toParameters = ({ schema, name }: NamePattern): readonly string[] =>
  schema === null ? [toServerRegex(name)] : [toServerRegex(name), toServerRegex(schema)];

/** No schema that only the server fills: pg_dump is told the same. */
const userSchemas = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;

const tableQuery = ({
  schema,
}: NamePattern): string => `SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND ${userSchemas} AND c.relname OPERATOR(pg_catalog.~) $1 COLLATE pg_catalog.default
  AND ${schema === null ? 'pg_catalog.pg_table_is_visible(c.oid)' : 'n.nspname OPERATOR(pg_catalog.~) $2 COLLATE pg_catalog.default'}`;

const schemaQuery = `SELECT n.oid FROM pg_catalog.pg_namespace n WHERE ${userSchemas} AND n.nspname OPERATOR(pg_catalog.~) $1 COLLATE pg_catalog.default`;

interface Chosen {
  readonly schemas: readonly number[];
  readonly excludedSchemas: readonly number[];
  readonly tables: readonly number[];
  readonly excludedTables: readonly number[];
}

const toArray = (oids: readonly number[]): string => `{${oids.join(',')}}`;

/**
 * $1 named schemas, $2 excluded schemas, $3 named tables, $4 excluded tables. An extension's configuration table is saved when the extension is (nothing is named) or when
 * it or its schema is named. An identity's sequence is saved with its table alone; another owned one also by its own name.
 */
const readOids = async (session: QuerySession, narrowed: boolean, hasTables: boolean, chosen: Chosen): Promise<string> => {
  const byName = hasTables
    ? 'c.oid = ANY ($3::pg_catalog.oid[])'
    : narrowed
      ? 'c.relnamespace = ANY ($1::pg_catalog.oid[]) AND c.relnamespace <> ALL ($2::pg_catalog.oid[])'
      : 'c.relnamespace <> ALL ($2::pg_catalog.oid[])';
  const configByName = narrowed
    ? `(c.oid = ANY ($3::pg_catalog.oid[]) OR (${!hasTables} AND c.relnamespace = ANY ($1::pg_catalog.oid[]))) AND c.relnamespace <> ALL ($2::pg_catalog.oid[])`
    : 'c.relnamespace <> ALL ($2::pg_catalog.oid[])';
  const sql = `WITH config AS (SELECT DISTINCT pg_catalog.unnest(e.extconfig) AS oid FROM pg_catalog.pg_extension e),
picked AS (
  SELECT c.oid, c.relkind FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND c.oid <> ALL ($4::pg_catalog.oid[])
    AND ($1::pg_catalog.oid[] IS NOT NULL AND $3::pg_catalog.oid[] IS NOT NULL)
    AND CASE WHEN c.oid IN (SELECT oid FROM config) THEN ${configByName} ELSE ${byName} END
), owned AS (
  SELECT d.objid AS oid, d.deptype, d.refobjid AS owner FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0 AND d.refobjsubid <> 0
    AND d.deptype IN ('a', 'i')
)
SELECT p.oid FROM picked p WHERE NOT EXISTS (SELECT FROM owned o WHERE o.oid = p.oid AND o.deptype = 'i' AND NOT EXISTS (SELECT FROM picked t WHERE t.oid = o.owner))
UNION SELECT o.oid FROM owned o JOIN picked t ON t.oid = o.owner`;
  const { rows } = await session.query(sql, [chosen.schemas, chosen.excludedSchemas, chosen.tables, chosen.excludedTables].map(toArray));
  return toArray(rows.map(([oid]) => Number(oid)));
};
