import type { Cluster } from '../support/cluster.js';

/** Bytes that repeat neither within an object nor from one to the next. */
const content = (oid: number, sizeBytes: number): string =>
  `SELECT lo_from_bytea(${oid}, substr((SELECT coalesce(string_agg(sha256((${oid} || '-' || i)::bytea), ''::bytea), '') FROM generate_series(1, ${Math.ceil(sizeBytes / 32)}) i), 1, ${sizeBytes}));`;

/** Every size around the page, a large one, and such as only seeking and truncating make: holes, short pages in the middle, an end in a hole, an empty last page. */
export const sizesSql = `
${[0, 1, 2047, 2048, 2049, 4096, 1_048_576, 70_000_000].map((size, index) => content(50_000 + index, size)).join('\n')}
DO $do$
DECLARE fd int;
BEGIN
  fd := lo_open(lo_create(50100), 131072);
  PERFORM lo_lseek64(fd, 20000000, 0), lowrite(fd, 'behind a hole');
  fd := lo_open(lo_create(50101), 131072);
  PERFORM lowrite(fd, 'short'), lo_lseek64(fd, 5000, 0), lowrite(fd, repeat('in the middle', 400)::bytea), lo_lseek64(fd, 100000, 0), lowrite(fd, 'x');
  fd := lo_open(lo_create(50102), 131072);
  PERFORM lowrite(fd, 'then nothing'), lo_truncate64(fd, 1048576);
  fd := lo_open(lo_create(50103), 131072);
  PERFORM lowrite(fd, repeat('x', 10000)::bytea), lo_truncate64(fd, 4096);
  fd := lo_open(lo_create(50104), 131072);
  PERFORM lowrite(fd, repeat('x', 10000)::bytea), lo_truncate64(fd, 3000);
END
$do$;
SET allow_system_table_mods TO on;
INSERT INTO pg_largeobject VALUES (50105, 0, 'a page of no object');
SELECT lo_create(4294967295), lo_from_bytea(2147483648, 'a large OID');`;

/** Owners, grants of every shape and comments. `roles` are four that exist, as SQL identifiers. */
export const propertiesSql = ([owner, reader, writer, other]: readonly [string, string, string, string]): string => `
${[1, 2, 3, 4, 5, 6, 7].map((n) => `SELECT lo_from_bytea(${60_000 + n}, 'object ${n}');`).join('\n')}
ALTER LARGE OBJECT 60001 OWNER TO ${owner};
GRANT SELECT ON LARGE OBJECT 60002 TO PUBLIC;
ALTER LARGE OBJECT 60003 OWNER TO ${owner};
GRANT SELECT, UPDATE ON LARGE OBJECT 60003 TO ${reader} WITH GRANT OPTION;
GRANT UPDATE ON LARGE OBJECT 60003 TO ${writer};
SET ROLE ${reader};
GRANT SELECT ON LARGE OBJECT 60003 TO ${other} WITH GRANT OPTION;
SET ROLE ${other};
GRANT SELECT ON LARGE OBJECT 60003 TO PUBLIC;
RESET ROLE;
ALTER LARGE OBJECT 60004 OWNER TO ${owner};
REVOKE ALL ON LARGE OBJECT 60004 FROM ${owner};
ALTER LARGE OBJECT 60005 OWNER TO ${owner};
REVOKE UPDATE ON LARGE OBJECT 60005 FROM ${owner};
GRANT UPDATE ON LARGE OBJECT 60005 TO ${writer};
REVOKE ALL ON LARGE OBJECT 60006 FROM postgres;
GRANT SELECT ON LARGE OBJECT 60006 TO ${reader};
GRANT ALL ON LARGE OBJECT 60006 TO postgres WITH GRANT OPTION;
COMMENT ON LARGE OBJECT 60001 IS E'it''s "quoted", \\\\ and\\ta line\\nend; $do$ $set$ %s ünïcode 🐘';
COMMENT ON LARGE OBJECT 60007 IS '';
COMMENT ON LARGE OBJECT 50000 IS 'of an empty one';`;

/** All that the server knows of its large objects; pages as they are stored. */
const imageSql = `SELECT m.oid, pg_get_userbyid(m.lomowner), (SELECT array_agg(a ORDER BY a::text) FROM unnest(m.lomacl) a), obj_description(m.oid, 'pg_largeobject'),
  (SELECT count(*) || ' ' || coalesce(md5(string_agg(p.pageno || ':' || md5(p.data), ',' ORDER BY p.pageno)), '') FROM pg_largeobject p WHERE p.loid = m.oid)
FROM pg_largeobject_metadata m ORDER BY m.oid`;

export const readLargeObjects = (cluster: Cluster, database: string): Promise<string> => cluster.psql(database, imageSql);

/** Contents as the functions read them: a hole and zeros are the same. */
export const readLargeObjectContents = (cluster: Cluster, database: string): Promise<string> =>
  cluster.psql(database, 'SELECT m.oid, md5(lo_get(m.oid)) FROM pg_largeobject_metadata m ORDER BY m.oid');
