/**
 * SQL that reads `pg_catalog`, for servers 13 to 18 and sessions whose `search_path` is empty. Each query is one round trip for the whole database;
 * columns that only some versions have are asked for by version. What is saved and what is not follows pg_dump (`src/bin/pg_dump/pg_dump.c`).
 */

/** OIDs and conditions of configuration tables of extensions. */
export const configQuery = `SELECT u.oid, pg_catalog.min(coalesce(u.condition, '')) AS condition
  FROM (SELECT pg_catalog.unnest(e.extconfig) AS oid, pg_catalog.unnest(e.extcondition) AS condition FROM pg_catalog.pg_extension e WHERE e.oid >= 16384) u
  GROUP BY u.oid`;

/**
 * Two CTEs, `config` and `saved`: the relations of these kinds that are saved. No system schema, nothing temporary, no member of an extension unless
 * the extension registered it as a configuration table (`pg_extension.extconfig`, which may name sequences, too). `oids`: those of `Scope`.
 */
const savedRelations = (relkinds: string, oids: string | null): string => `WITH RECURSIVE config AS (
  ${configQuery}
), saved AS (
  SELECT c.oid, c.relnamespace, n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname) AS quoted_name, c.relkind, c.relam, c.relfilenode,
    c.reltoastrelid, c.reltuples, c.relispartition, c.relpersistence, config.condition
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN config ON config.oid = c.oid
  WHERE c.relkind IN (${relkinds}) AND c.relpersistence <> 't'${oids === null ? '' : ` AND c.oid = ANY ('${oids}'::pg_catalog.oid[])`} AND (config.oid IS NOT NULL OR (
    n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.objsubid = 0
        AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e')))
)`;

const byName = `ORDER BY s.nspname COLLATE "C", s.relname COLLATE "C"`;

/** One row: version, version text, postmaster start, whether in recovery, block size, whether `pg_control_system` may be called. */
export const serverQuery = `SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_version'),
  pg_catalog.to_char(pg_catalog.pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
  pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('block_size'), pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')`;

export const systemIdentifierQuery = 'SELECT system_identifier FROM pg_catalog.pg_control_system()';

/** One row: name, owner, encoding, collate, ctype, locale provider, ICU locale, ICU rules, tablespace. */
export const databaseQuery = (
  version: number,
): string => `SELECT d.datname, pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
  ${version >= 150000 ? 'd.datlocprovider' : "'c'"}, ${version >= 170000 ? 'd.datlocale' : version >= 150000 ? 'd.daticulocale' : 'NULL'},
  ${version >= 160000 ? 'd.daticurules' : 'NULL'}, (SELECT t.spcname FROM pg_catalog.pg_tablespace t WHERE t.oid = d.dattablespace)
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`;

/** OID and quoted name of each relation to be locked. */
export const lockListQuery = (oids: string | null): string =>
  `${savedRelations("'r', 'p'", oids)} SELECT s.oid, s.quoted_name FROM saved s ${byName}`;

/**
 * The saved relations. Sizes are of the main forks. The last column: a partitioned table by hash of what another server may hash otherwise: enums (by OID), also within arrays,
 * composites and ranges, and text under a nondeterministic collation (by the collation library's sort key). pg_dump knows the enums alone (`forcePartitionRootLoad`). Columns are JSON `[[name, quoted name, type OID], …]` where a quoted name equal to the name is null:
 * aggregated, because a row for each column would be most of the memory that a large catalog takes.
 */
export const relationsQuery = (oids: string | null): string => `${savedRelations("'r', 'p'", oids)}
SELECT s.oid, s.nspname, s.relname, s.quoted_name, s.relkind, CASE WHEN s.relkind = 'r' THEN a.amname END, s.relfilenode,
  CASE WHEN s.relkind = 'r' THEN coalesce(pg_catalog.pg_relation_size(s.oid, 'main'), 0) ELSE 0 END,
  CASE WHEN s.reltoastrelid <> 0 THEN coalesce(pg_catalog.pg_relation_size(s.reltoastrelid, 'main'), 0) ELSE 0 END,
  s.reltuples::pg_catalog.int8, (SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE s.relispartition AND i.inhrelid = s.oid), s.relpersistence = 'u', s.condition,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(t.attname, nullif(pg_catalog.quote_ident(t.attname), t.attname), t.atttypid::pg_catalog.int8) ORDER BY t.attnum)
   FROM pg_catalog.pg_attribute t WHERE t.attrelid = s.oid AND t.attnum > 0 AND NOT t.attisdropped AND t.attgenerated = ''),
  s.relkind = 'p' AND EXISTS (SELECT FROM pg_catalog.pg_partitioned_table h, LATERAL ROWS FROM (pg_catalog.unnest(h.partattrs::pg_catalog.int2[]), pg_catalog.unnest(h.partclass::pg_catalog.oid[]), pg_catalog.unnest(h.partcollation::pg_catalog.oid[])) k(attnum, opclass, coll)
    JOIN pg_catalog.pg_opclass o ON o.oid = k.opclass LEFT JOIN pg_catalog.pg_collation l ON l.oid = k.coll
    LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = s.oid AND t.attnum = k.attnum AND k.attnum <> 0 LEFT JOIN pg_catalog.pg_type y ON y.oid = t.atttypid LEFT JOIN pg_catalog.pg_type e ON e.oid = y.typelem
    WHERE h.partrelid = s.oid AND h.partstrat = 'h' AND (o.opcintype = 'pg_catalog.anyenum'::pg_catalog.regtype OR y.typtype IN ('c', 'r', 'm') OR e.typtype IN ('e', 'c', 'r', 'm')
      OR (k.attnum = 0 AND o.opcintype IN ('pg_catalog.anyarray'::pg_catalog.regtype, 'pg_catalog.anyrange'::pg_catalog.regtype, 'pg_catalog.record'::pg_catalog.regtype)) OR NOT l.collisdeterministic))
FROM saved s LEFT JOIN pg_catalog.pg_am a ON a.oid = s.relam ${byName}`;

/** Every type that a column of a saved relation has, with the types it is made of: base of a domain, element of an array, subtype of a range. */
export const typesQuery = (version: number, oids: string | null): string => `${savedRelations("'r', 'p'", oids)}, used(oid) AS (
  SELECT t.atttypid FROM pg_catalog.pg_attribute t JOIN saved s ON s.oid = t.attrelid WHERE t.attnum > 0 AND NOT t.attisdropped AND t.attgenerated = ''
  UNION
  SELECT part.oid FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid LEFT JOIN pg_catalog.pg_range r ON ${rangeOf(version)},
    LATERAL (VALUES (t.typbasetype), (CASE WHEN t.typcategory = 'A' THEN t.typelem END), (r.rngsubtype)) part(oid)
  WHERE part.oid <> 0
)
SELECT t.oid, n.nspname, t.typname, t.typtype, t.typbasetype, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, coalesce(r.rngsubtype, 0)
FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_catalog.pg_range r ON ${rangeOf(version)}`;

const rangeOf = (version: number): string => (version >= 140000 ? 't.oid IN (r.rngtypid, r.rngmultitypid)' : 't.oid = r.rngtypid');

/**
 * For each saved relation: OID, hash of what its rows depend on, JSON of the OIDs of its parents by partitioning or inheritance, or null. It is read from the catalogs as they are,
 * without functions that would spell it out: two equal hashes are of one definition, two different ones perhaps as well. Types are followed into domains, elements, ranges, attributes.
 * Foreign keys are left out: rows of one relation alone cannot violate them.
 */
export const definitionsQuery = (oids: string | null): string => `${savedRelations("'r', 'p'", oids)}, reached(root, oid) AS (
  SELECT DISTINCT t.atttypid, t.atttypid FROM pg_catalog.pg_attribute t JOIN saved s ON s.oid = t.attrelid WHERE t.attnum > 0 AND NOT t.attisdropped
  UNION
  SELECT reached.root, part.oid FROM reached JOIN pg_catalog.pg_type t ON t.oid = reached.oid, LATERAL (SELECT t.typbasetype UNION ALL SELECT t.typelem
    UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) part(oid)
  WHERE part.oid <> 0 AND t.oid >= 16384
), types AS (
  SELECT reached.root, pg_catalog.hashtextextended(pg_catalog.string_agg(pg_catalog.concat_ws(' ', t.oid, t.typname, t.typtype, t.typnotnull, t.typbasetype, t.typtypmod,
    (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod), ',' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT pg_catalog.string_agg(k.conbin::pg_catalog.text, ',' ORDER BY k.oid) FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid)), ';' ORDER BY t.oid), 0) AS hash
  FROM reached JOIN pg_catalog.pg_type t ON t.oid = reached.oid GROUP BY reached.root
)
SELECT s.oid, pg_catalog.hashtextextended(pg_catalog.concat_ws(E'\n', s.nspname, s.relname, s.relkind, s.relpersistence, s.condition, c.relpartbound::pg_catalog.text,
    (SELECT pg_catalog.concat_ws(' ', h.partstrat, h.partattrs, h.partclass, h.partcollation, h.partexprs::pg_catalog.text) FROM pg_catalog.pg_partitioned_table h WHERE h.partrelid = s.oid),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', t.attnum, t.attname, t.atttypid, t.atttypmod, t.attnotnull, t.attcollation, t.attgenerated, types.hash), ',' ORDER BY t.attnum)
      FROM pg_catalog.pg_attribute t LEFT JOIN types ON types.root = t.atttypid WHERE t.attrelid = s.oid AND t.attnum > 0 AND NOT t.attisdropped),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', k.contype, k.conname, k.convalidated, k.conkey, k.conbin::pg_catalog.text), ',' ORDER BY k.conname COLLATE "C")
      FROM pg_catalog.pg_constraint k WHERE k.conrelid = s.oid AND k.contype <> 'f'),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', i.indkey, i.indisvalid, i.indpred::pg_catalog.text, i.indexprs::pg_catalog.text, i.indcollation), ',' ORDER BY i.indexrelid)
      FROM pg_catalog.pg_index i WHERE i.indrelid = s.oid AND (i.indisunique OR i.indisexclusion))), 0),
  (SELECT pg_catalog.json_agg(i.inhparent::pg_catalog.int8 ORDER BY i.inhseqno) FROM pg_catalog.pg_inherits i WHERE i.inhrelid = s.oid)
FROM saved s JOIN pg_catalog.pg_class c ON c.oid = s.oid`;

/** Saved sequences, with the OID of the table that owns each. A standby cannot read unlogged ones: they start anew there as they would after a crash. */
export const sequencesQuery = (oids: string | null): string => `${savedRelations("'S'", oids)}
SELECT s.oid, s.nspname, s.relname, s.quoted_name,
  (SELECT d.refobjid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.oid AND d.objsubid = 0
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') LIMIT 1)
FROM saved s WHERE NOT (s.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()) ${byName}`;

/** The state of some sequences, in one round trip. Takes names that the server quoted. */
export const sequenceValuesQuery = (sequences: readonly { readonly oid: number; readonly quotedName: string }[]): string =>
  sequences.map(({ oid, quotedName }) => `SELECT ${oid}::pg_catalog.oid, last_value, is_called FROM ${quotedName}`).join(' UNION ALL ');

/** Views and materialised views that are dumped: a plain view has rows in no backup, but leads from one materialised view to another. */
export const viewsQuery = (oids: string | null): string => `${savedRelations("'v', 'm'", oids)}
SELECT s.oid, s.nspname, s.relname, s.quoted_name, s.relkind, c.relispopulated FROM saved s JOIN pg_catalog.pg_class c ON c.oid = s.oid ${byName}`;

/** Pairs (view, relation it reads) between views and materialised views. */
export const viewDependenciesQuery = `SELECT DISTINCT r.ev_class, d.refobjid
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid JOIN pg_catalog.pg_class c ON c.oid = d.refobjid
WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND c.relkind IN ('v', 'm') AND r.ev_class <> d.refobjid AND r.ev_class >= 16384 AND c.oid >= 16384 ORDER BY 1, 2`;

/**
 * Relations and sequences that this role cannot read in full: quoted name, quoted schema, quoted role, whether a sequence, and the reason: `schema` (no
 * USAGE), `select` (no SELECT on the whole relation, which LOCK TABLE needs), `rows` (row security would hide rows); and whether the server has the role
 * `pg_read_all_data`, as those from 14 on do; the relation's OID. Dropped ones give no row.
 */
export const obstaclesQuery = (oids: string | null): string => `${savedRelations("'r', 'p', 'S'", oids)}
SELECT o.quoted_name, pg_catalog.quote_ident(o.nspname), pg_catalog.quote_ident(CURRENT_USER), o.relkind = 'S', o.reason,
  EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = 'pg_read_all_data'), o.oid FROM (
  SELECT s.*, CASE WHEN NOT pg_catalog.has_schema_privilege(s.relnamespace, 'USAGE') THEN 'schema'
    WHEN NOT pg_catalog.has_table_privilege(s.oid, 'SELECT') THEN 'select' WHEN s.relkind <> 'S' AND pg_catalog.row_security_active(s.oid) THEN 'rows' END AS reason
  FROM saved s) o WHERE o.reason IS NOT NULL ORDER BY o.nspname COLLATE "C", o.relname COLLATE "C"`;

/**
 * Those of the given relations (an array of OIDs) that are not now what this transaction's snapshot sees: gone, behind another name, or with another
 * file after TRUNCATE, CLUSTER or a rewriting ALTER TABLE. Names and files now come from the system caches, which no snapshot holds back.
 */
export const changedRelationsQuery = `SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND (pg_catalog.to_regclass(pg_catalog.format('%I.%I', n.nspname, c.relname))::pg_catalog.oid IS DISTINCT FROM c.oid
  OR coalesce(pg_catalog.pg_relation_filenode(c.oid), 0) <> c.relfilenode)
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C" LIMIT 10`;

/** The exported snapshot's id, the WAL position, and the time. */
export const exportQuery = `SELECT pg_catalog.pg_export_snapshot(),
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END,
  pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** Who holds a lock that excludes readers from one of the given relations: names and process ids. */
export const lockHoldersQuery = `SELECT n.nspname, c.relname, l.pid FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
  AND c.oid = ANY ($1::pg_catalog.oid[]) ORDER BY l.granted DESC, l.pid LIMIT 1`;

/** Names of the schemas that are searched for a relation named without one, in their order; in the role's own sessions, before `prelude`. */
export const searchPathQuery = 'SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(false))';

/** Name, version and a JSON array of the configuration tables' OIDs of each extension that is not the server's own. */
export const extensionsQuery = `SELECT e.extname, e.extversion, pg_catalog.to_json(coalesce(e.extconfig::pg_catalog.int8[], '{}'))
FROM pg_catalog.pg_extension e WHERE e.oid >= 16384 ORDER BY e.extname COLLATE "C"`;

/** OID and name of each schema that is not the server's own. */
export const schemasQuery = `SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY n.nspname COLLATE "C"`;

/** Relations without rows of their own that have definitions: views, materialised views, foreign tables. OID, schema, name, quoted name, kind. */
export const otherRelationsQuery = (oids: string | null): string =>
  `${savedRelations("'v', 'm', 'f'", oids)} SELECT s.oid, s.nspname, s.relname, s.quoted_name, s.relkind FROM saved s ${byName}`;

/** Partitioned tables within `oids` that have partitions outside: schema and name. */
export const partedTablesQuery = (oids: string): string => `SELECT DISTINCT n.nspname, c.relname FROM pg_catalog.pg_inherits i
  JOIN pg_catalog.pg_class c ON c.oid = i.inhparent AND c.relkind = 'p' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = ANY ('${oids}'::pg_catalog.oid[]) AND i.inhrelid <> ALL ('${oids}'::pg_catalog.oid[]) ORDER BY 1, 2`;

/**
 * Whether a relation is outside a backup of a part: a user's, or an extension's that is not saved either. No query with `oids` null needs it.
 */
const isOutside = (oid: string, hasExtensions: boolean): string =>
  `NOT EXISTS (SELECT FROM saved o WHERE o.oid = ${oid})${
    hasExtensions
      ? ` AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = ${oid} AND e.objsubid = 0 AND e.deptype = 'e')`
      : ''
  }`;

/** Foreign keys of saved relations: OIDs of the constraint, its relation and the one it refers to, that one's schema and name, whether that one is outside the backup. */
export const foreignKeysQuery = (oids: string | null, hasExtensions: boolean): string => `${savedRelations("'r', 'p'", oids)}
SELECT k.oid, k.conrelid, k.confrelid, n.nspname, c.relname, ${oids === null ? 'false' : isOutside('k.confrelid', hasExtensions)}
FROM pg_catalog.pg_constraint k JOIN saved s ON s.oid = k.conrelid
  JOIN pg_catalog.pg_class c ON c.oid = k.confrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY 1`;

/** What views, rules, children and triggers made by a parent's need outside a backup of a part: kind, OIDs of the rule, child or trigger, its relation and the one it needs, that one's schema and name. */
export const outwardReferencesQuery = (
  oids: string,
  hasExtensions: boolean,
): string => `${savedRelations("'r', 'p', 'v', 'm', 'f', 'S'", oids)}, needs AS (
  SELECT DISTINCT 'rule' AS kind, w.oid, w.ev_class AS relation, d.refobjid AS needed FROM pg_catalog.pg_rewrite w JOIN saved s ON s.oid = w.ev_class
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  UNION ALL SELECT 'parent', i.inhrelid, i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i JOIN saved s ON s.oid = i.inhrelid
  UNION ALL SELECT 'trigger', t.oid, t.tgrelid, p.tgrelid FROM pg_catalog.pg_trigger t JOIN saved s ON s.oid = t.tgrelid JOIN pg_catalog.pg_trigger p ON p.oid = t.tgparentid)
SELECT needs.kind, needs.oid, needs.relation, needs.needed, n.nspname, c.relname FROM needs
  JOIN pg_catalog.pg_class c ON c.oid = needs.needed JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE needs.needed >= 16384 AND ${isOutside('needs.needed', hasExtensions)} ORDER BY 2, 4`;
