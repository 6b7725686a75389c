import type { Cluster } from './cluster.js';

// Output of timestamps, floats, bytea, money, intervals and object names depends on these; both sides of a comparison must agree.
const fixedSettings = `
SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1;
SET lc_monetary = 'C'; SET search_path = ''; SET row_security = off; SET client_min_messages = warning;
`;

/**
 * One statement a table, written by the server: row count, and the sums of both halves of an md5 for each row. A row’s md5 covers its text and, apart, the md5 of
 * every bytea value: as hexadecimal text a large one would not fit into a value. Columns go by their names: a restore may put inherited ones in another order.
 */
const writeStatements = `
SELECT json_build_array(
  format('%I.%I', n.nspname, c.relname),
  format(
    'SELECT json_build_array(%L, count(*) || '' '' || coalesce(sum(high), 0) || '' '' || coalesce(sum(low), 0)) FROM ('
    'SELECT (''x'' || left(h, 16))::bit(64)::bigint AS high, (''x'' || right(h, 16))::bit(64)::bigint AS low FROM ('
    'SELECT md5(concat_ws('','', ROW(%s)::text%s)) AS h FROM ONLY %I.%I OFFSET 0) rows) halves;',
    format('%I.%I', n.nspname, c.relname),
    (SELECT string_agg(format('%I', attname), ', ' ORDER BY attname) FROM pg_catalog.pg_attribute
      WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND atttypid <> 'bytea'::pg_catalog.regtype),
    (SELECT string_agg(format(', coalesce(md5(%I), ''null'')', attname), '' ORDER BY attname) FROM pg_catalog.pg_attribute
      WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND atttypid = 'bytea'::pg_catalog.regtype),
    n.nspname, c.relname))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relkind = 'r' OR (c.relkind = 'm' AND c.relispopulated)) AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY c.relpages DESC, c.oid;
`;

const parseLines = (output: string): readonly (readonly [string, string])[] =>
  output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as [string, string]);

/**
 * What every table (partitions each for itself) and populated materialised view of a database holds, as `rows high low` keyed by its quoted, qualified name.
 * The server computes it from the rows’ text, in any order: it shares no code with dbbackup, so two equal maps prove two databases equal.
 * `jobs` sessions (default 2) share the tables, largest first.
 */
export const tableFingerprints = async (
  cluster: Cluster,
  database: string,
  options: { readonly jobs?: number } = {},
): Promise<ReadonlyMap<string, string>> => {
  const statements = parseLines(await cluster.psql(database, `${fixedSettings}${writeStatements}`)).map(([, statement]) => statement);
  const fingerprints = new Map<string, string>();
  let next = 0;
  // The largest tables one by one, the many small ones together: a session costs more than a small table.
  const takeBatch = (): readonly string[] => {
    const first = next;
    next += first < 16 ? 1 : 25;
    return statements.slice(first, next);
  };
  const runBatches = async (): Promise<void> => {
    for (let batch = takeBatch(); batch.length > 0; batch = takeBatch()) {
      for (const [name, fingerprint] of parseLines(await cluster.psql(database, `${fixedSettings}${batch.join('\n')}`)))
        fingerprints.set(name, fingerprint);
    }
  };
  await Promise.all(Array.from({ length: options.jobs ?? 2 }, runBatches));
  return new Map([...fingerprints].sort(([a], [b]) => (a < b ? -1 : 1)));
};
