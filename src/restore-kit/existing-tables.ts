import type { ManifestDatabase } from '../manifest/schema.js';
import { foreignKeyChecksQuery } from './foreign-keys-sql.js';
import type { Quoting } from './sql.js';

/** Scripts for rows that go into tables which exist. Each prints a line for whatever is wrong, and nothing otherwise. */

/**
 * Files of the kit by name, for a backup without definitions. `existing-begin.sql`: tables that hold rows already, and triggers that would change what is loaded; `existing-end.sql`:
 * foreign keys that the rows violate, asked where no trigger of theirs was at work. Cost: some 100 bytes for each relation that has rows.
 */
export const toExistingTableFiles = (quoting: Quoting, database: ManifestDatabase): ReadonlyMap<string, string> => {
  const found = toFound(quoting, database);
  return new Map([
    ['existing-begin.sql', `${triggersQuery(found)}\n\\g\n${rowsQuery(found)}\n\\gexec\n`],
    ['existing-end.sql', `${violationsQuery(found)}\n\\gexec\n`],
  ]);
};

/** Common table expressions: the target's tables that rows go into, and all of their partition trees, where constraints and triggers may stand. */
const toFound = (quoting: Quoting, { relations }: ManifestDatabase): string => {
  const byOid = new Map(relations.map((relation) => [relation.oid, relation]));
  const rows = relations
    .filter(({ segments }) => segments.length > 0)
    .map((relation) => {
      const root = relation.partitionRootOid === null ? relation : (byOid.get(relation.partitionRootOid) ?? relation);
      const own = relation.isRootNeeded ? root : relation;
      return `(${[own.schema, own.name, root.schema, root.name].map((name) => quoting.literal(name)).join(', ')})`;
    });
  const loaded = rows.length === 0 ? 'SELECT NULL::text, NULL::text, NULL::text, NULL::text WHERE false' : `VALUES ${rows.join(',\n  ')}`;
  return `loaded(schema, name, root_schema, root_name) AS (${loaded}),
tables AS (SELECT n.nspname, c.relname, c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')),
found AS (
  SELECT coalesce(own.oid, root.oid) AS oid, root.oid AS root FROM loaded l LEFT JOIN tables own ON own.nspname = l.schema AND own.relname = l.name
    LEFT JOIN tables root ON root.nspname = l.root_schema AND root.relname = l.root_name),
affected AS (
  SELECT f.oid FROM found f UNION SELECT f.root FROM found f
  UNION SELECT p.relid FROM found f, LATERAL pg_catalog.pg_partition_tree(pg_catalog.pg_partition_root(f.oid)) p
  UNION SELECT p.relid FROM found f, LATERAL pg_catalog.pg_partition_tree(pg_catalog.pg_partition_root(f.root)) p)`;
};

/** Whether restore.sh loads past triggers. */
const isReplicating = `(SELECT r.rolsuper OR pg_catalog.current_setting('session_replication_role') = 'replica' FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)`;

/** A name may hold line ends. */
const oneLine = (expression: string): string => `pg_catalog.regexp_replace(${expression}, '[[:cntrl:]]', ' ', 'g')`;

const triggersQuery = (found: string): string => `WITH ${found}
SELECT ${oneLine("pg_catalog.format('trigger %I of %s would fire', t.tgname, t.tgrelid::pg_catalog.regclass)")}
FROM pg_catalog.pg_trigger t WHERE t.tgrelid IN (SELECT a.oid FROM affected a) AND NOT t.tgisinternal AND t.tgtype & 4 <> 0
  AND (t.tgenabled = 'A' OR t.tgenabled = CASE WHEN ${isReplicating} THEN 'R' ELSE 'O' END) ORDER BY 1`;

/** Tables of extensions hold rows of their own. */
const rowsQuery = (found: string): string => `WITH ${found}
SELECT DISTINCT pg_catalog.format('SELECT %L WHERE EXISTS (SELECT FROM %s)', ${oneLine("pg_catalog.format('%s holds rows already', f.oid::pg_catalog.regclass)")}, f.oid::pg_catalog.regclass)
FROM found f WHERE f.oid IS NOT NULL
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = f.oid AND d.deptype = 'e')
ORDER BY 1`;

const violationsQuery = (
  found: string,
): string => `SELECT pg_catalog.format('SELECT %L WHERE (%s)', ${oneLine('checks.title')}, checks.sql) FROM (
${foreignKeyChecksQuery(found)}
) checks(title, sql) WHERE ${isReplicating}`;
