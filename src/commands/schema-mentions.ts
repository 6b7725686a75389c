/** Where a schema's name may stand in text that ALTER SCHEMA ... RENAME does not follow. */

/** The name, with what a regular expression would read otherwise escaped. */
const escaped = `pg_catalog.regexp_replace($1, '([^[:alnum:]_])', '\\\\\\1', 'g')`;
/** The name as a word, in any case; in expressions only within what may be a string: as an identifier it follows the schema. */
const word = `'(^|[^[:alnum:]_$])' || ${escaped} || '($|[^[:alnum:]_$])'`;
const wordInString = `'''([^'']*[^[:alnum:]_$''])?' || ${escaped} || '([^[:alnum:]_$''][^'']*)?'''`;

/** Something of a catalog that can hold the name. */
interface Place {
  readonly catalog: string;
  readonly alias: string;
  /** An expression, as the server prints it; null does not match. */
  readonly text: string;
  /** `literal`: only strings within the text count. */
  readonly pattern: 'body' | 'literal';
  readonly told: string;
  /** FROM and WHERE beyond the catalog itself. */
  readonly join?: string;
  readonly condition?: string;
  /** Default 13. */
  readonly sinceMajor?: number;
}

const inString = 'mentions it in a string';

/** In the order in which they are told. Strings that are objects' OIDs by now (`'shop.orders'::regclass`) follow the schema. */
const places: readonly Place[] = [
  {
    catalog: 'pg_proc',
    alias: 'p',
    text: 'p.prosrc',
    pattern: 'body',
    told: 'mentions it',
    join: 'JOIN pg_catalog.pg_language l ON l.oid = p.prolang',
    condition: "l.lanname NOT IN ('c', 'internal')",
  },
  {
    catalog: 'pg_proc',
    alias: 'p',
    text: "pg_catalog.array_to_string(p.proconfig, ',')",
    pattern: 'body',
    told: 'has a setting that mentions it',
  },
  { catalog: 'pg_proc', alias: 'p', text: 'pg_catalog.pg_get_function_arguments(p.oid)', pattern: 'literal', told: inString },
  { catalog: 'pg_proc', alias: 'p', text: 'pg_catalog.pg_get_function_sqlbody(p.oid)', pattern: 'literal', told: inString, sinceMajor: 14 },
  { catalog: 'pg_type', alias: 't', text: 't.typdefault', pattern: 'literal', told: inString, condition: "t.typtype = 'd'" },
  { catalog: 'pg_ts_dict', alias: 'd', text: 'd.dictinitoption', pattern: 'literal', told: inString },
  {
    catalog: 'pg_class',
    alias: 'c',
    text: 'pg_catalog.pg_get_viewdef(c.oid)',
    pattern: 'literal',
    told: inString,
    condition: "c.relkind IN ('v', 'm')",
  },
  {
    catalog: 'pg_class',
    alias: 'c',
    text: 'pg_catalog.pg_get_partkeydef(c.oid)',
    pattern: 'literal',
    told: inString,
    condition: "c.relkind = 'p'",
  },
  { catalog: 'pg_attrdef', alias: 'a', text: 'pg_catalog.pg_get_expr(a.adbin, a.adrelid)', pattern: 'literal', told: inString },
  {
    catalog: 'pg_constraint',
    alias: 'k',
    text: 'pg_catalog.pg_get_constraintdef(k.oid)',
    pattern: 'literal',
    told: inString,
    condition: "k.contype = 'c'",
  },
  {
    catalog: 'pg_trigger',
    alias: 't',
    text: 'pg_catalog.pg_get_triggerdef(t.oid)',
    pattern: 'literal',
    told: inString,
    condition: 'NOT t.tgisinternal',
  },
  {
    catalog: 'pg_policy',
    alias: 'o',
    text: "pg_catalog.concat_ws(' ', pg_catalog.pg_get_expr(o.polqual, o.polrelid), pg_catalog.pg_get_expr(o.polwithcheck, o.polrelid))",
    pattern: 'literal',
    told: inString,
  },
  {
    catalog: 'pg_rewrite',
    alias: 'w',
    text: 'pg_catalog.pg_get_ruledef(w.oid)',
    pattern: 'literal',
    told: inString,
    condition: "w.rulename <> '_RETURN'",
  },
  {
    catalog: 'pg_class',
    alias: 'c',
    text: 'pg_catalog.pg_get_indexdef(c.oid)',
    pattern: 'literal',
    told: inString,
    join: 'JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)',
  },
  { catalog: 'pg_statistic_ext', alias: 's', text: 'pg_catalog.pg_get_statisticsobjdef(s.oid)', pattern: 'literal', told: inString },
  {
    catalog: 'pg_publication_rel',
    alias: 'r',
    text: 'pg_catalog.pg_get_expr(r.prqual, r.prrelid)',
    pattern: 'literal',
    told: inString,
    sinceMajor: 15,
  },
];

const describe = (catalog: string, oid: string): string =>
  `pg_catalog.pg_describe_object('pg_catalog.${catalog}'::pg_catalog.regclass, ${oid}, 0)`;

const toQuery = ({
  catalog,
  alias,
  text,
  pattern,
  told,
  join = '',
  condition = 'true',
}: Place): string => `SELECT ${describe(catalog, `${alias}.oid`)}, '${told}'
FROM pg_catalog.${catalog} ${alias} ${join} CROSS JOIN pattern WHERE ${alias}.oid >= 16384 AND ${condition}
  AND pg_catalog.regexp_replace(${text}, '''([^'']|'''')*''::reg[a-z]+', '', 'g') ~* pattern.${pattern}
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass AND x.objid = ${alias}.oid AND x.deptype = 'e')`;

/** A query with a schema's name as $1: description of the first thing that makes its renaming unsafe, and why. Cost: the text of every view, function and expression of the database. */
export const toMentionsQuery = (serverVersion: number): string => `WITH pattern AS (SELECT ${word} AS body, ${wordInString} AS literal)
SELECT ${describe('pg_extension', 'e.oid')}, 'is in it and is not relocatable'
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE n.nspname = $1 AND NOT e.extrelocatable
UNION ALL ${places
  .filter(({ sinceMajor = 13 }) => serverVersion >= sinceMajor * 10_000)
  .map(toQuery)
  .join('\nUNION ALL ')}
LIMIT 1`;
