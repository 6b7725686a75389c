/**
 * SQL that brings large objects back, the same for dbbackup and for restore.sh: a segment of either stream is copied into a temporary table, and statements on the
 * server do the rest. All of it is fixed text; what the segments hold never leaves the server. `docs/format.md` section 3.1.
 */

import { DbbackupError } from '../core/errors.js';
import type { ManifestFile, ManifestLargeObjects } from '../manifest/schema.js';

/** A switch that the statements read, since a DO block takes no arguments: `on` leaves out owners or privileges. */
export const withoutOwnersSql = 'SET dbbackup.without_owners TO on';
export const withoutPrivilegesSql = 'SET dbbackup.without_privileges TO on';

/** SQLSTATEs of what the statements themselves find: no error of the server's has them. */
export const roleMissingState = 'DBR01';
export const oidTakenState = 'DBR02';

const objects = 'pg_temp.dbbackup_large_objects';
const pages = 'pg_temp.dbbackup_large_object_pages';

/** Before the metadata's COPY; `DROP` names what is to happen with the table at the transaction's end. */
const stageMetadata = (onCommit: 'DROP' | 'PRESERVE ROWS'): readonly string[] => [
  'BEGIN',
  `CREATE TEMPORARY TABLE dbbackup_large_objects (loid pg_catalog.oid NOT NULL, owner pg_catalog.text NOT NULL, grants pg_catalog.json, comment pg_catalog.text, labels pg_catalog.json) ON COMMIT ${onCommit}`,
];

const copyMetadata = `COPY ${objects} FROM STDIN (FORMAT text)`;

/**
 * Creates the objects, empty. lo_create takes no lock on what it creates, so one transaction holds any number. Roles are looked for here: before an hour is spent on
 * contents. Owners' own grants need not be looked for: they are those of the owner.
 */
const createObjects = `DO $create$
DECLARE
  found record;
  has_owners boolean := pg_catalog.current_setting('dbbackup.without_owners', true) IS DISTINCT FROM 'on';
  has_privileges boolean := pg_catalog.current_setting('dbbackup.without_privileges', true) IS DISTINCT FROM 'on';
BEGIN
  FOR found IN SELECT o.loid FROM ${objects} o JOIN pg_catalog.pg_largeobject_metadata m ON m.oid = o.loid ORDER BY o.loid LIMIT 1 LOOP
    RAISE EXCEPTION USING ERRCODE = '${oidTakenState}', MESSAGE = pg_catalog.format('large object %s exists already in the target', found.loid);
  END LOOP;
  FOR found IN SELECT n.role, n.what, pg_catalog.min(n.loid::bigint) AS loid FROM (
      SELECT o.owner AS role, 'owns' AS what, o.loid FROM ${objects} o WHERE has_owners
      UNION ALL SELECT g.value ->> i, 'has privileges on', o.loid FROM ${objects} o, pg_catalog.json_array_elements(o.grants) g(value), pg_catalog.generate_series(0, 1) i
        WHERE has_privileges AND g.value ->> i <> o.owner) n
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = n.role) GROUP BY n.role, n.what ORDER BY n.role LIMIT 1 LOOP
    RAISE EXCEPTION USING ERRCODE = '${roleMissingState}', MESSAGE = pg_catalog.format('role %I, which %s large object %s, does not exist', found.role, found.what, found.loid);
  END LOOP;
  PERFORM pg_catalog.count(pg_catalog.lo_create(o.loid)) FROM ${objects} o;
END
$create$`;

/** Objects in one transaction: each takes a lock, and a session is sure of 64 (the default of max_locks_per_transaction). */
const objectsPerTransaction = 50;

/**
 * Sets owners, grants, comments and security labels as pg_dump does: an object whose owner has the privileges that every owner has is granted on, any other is taken
 * from its owner first. What default privileges of the target gave is taken back. A grant of somebody else's than the owner's is made in that role, once that role may:
 * passes are made until none is left, and each is proved, for a GRANT that gives nothing is but a warning of the server's.
 */
const setProperties = `DO $set$
DECLARE
  object record;
  entry record;
  has_owners boolean := pg_catalog.current_setting('dbbackup.without_owners', true) IS DISTINCT FROM 'on';
  has_privileges boolean := pg_catalog.current_setting('dbbackup.without_privileges', true) IS DISTINCT FROM 'on';
  own_role text := pg_catalog.current_setting('role');
  own_name text := current_user;
  is_usual boolean;
  is_stuck boolean;
  waiting bigint[];
  granted bigint;
  done bigint := 0;
BEGIN
  FOR object IN SELECT o.*, has_privileges AND m.lomacl IS NOT NULL AS has_defaults FROM ${objects} o JOIN pg_catalog.pg_largeobject_metadata m ON m.oid = o.loid
    WHERE has_owners AND o.owner <> own_name OR has_privileges AND (o.grants IS NOT NULL OR m.lomacl IS NOT NULL) OR o.comment IS NOT NULL OR o.labels IS NOT NULL ORDER BY o.loid LOOP
    IF has_owners AND object.owner <> own_name THEN
      EXECUTE pg_catalog.format('ALTER LARGE OBJECT %s OWNER TO %I', object.loid, object.owner);
    END IF;
    IF object.has_defaults THEN
      FOR entry IN SELECT DISTINCT a.grantee, r.rolname FROM pg_catalog.pg_largeobject_metadata m, pg_catalog.aclexplode(m.lomacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
          WHERE m.oid = object.loid AND a.grantee <> m.lomowner LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON LARGE OBJECT %s FROM %s CASCADE', object.loid, CASE WHEN entry.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(entry.rolname) END);
      END LOOP;
      EXECUTE pg_catalog.format('GRANT ALL ON LARGE OBJECT %s TO %I', object.loid, CASE WHEN has_owners THEN object.owner ELSE own_name END);
    END IF;
    IF has_privileges AND object.grants IS NOT NULL THEN
      is_usual := pg_catalog.concat_ws(' ', object.grants -> 0 ->> 2, object.grants -> 1 ->> 2, object.grants -> 0 ->> 3, object.grants -> 1 ->> 3) = 'SELECT UPDATE false false'
        AND object.owner = ALL (ARRAY[object.grants -> 0 ->> 0, object.grants -> 0 ->> 1, object.grants -> 1 ->> 0, object.grants -> 1 ->> 1]);
      IF is_usual IS NOT TRUE THEN
        EXECUTE pg_catalog.format('REVOKE ALL ON LARGE OBJECT %s FROM %I', object.loid, object.owner);
      END IF;
      waiting := ARRAY(SELECT g FROM pg_catalog.generate_series(CASE WHEN is_usual THEN 2 ELSE 0 END, pg_catalog.json_array_length(object.grants) - 1) g);
      WHILE pg_catalog.cardinality(waiting) > 0 LOOP
        is_stuck := true;
        FOR entry IN SELECT g.place, e.value ->> 0 AS grantor, e.value ->> 1 AS grantee, CASE e.value ->> 2 WHEN 'SELECT' THEN 'SELECT' WHEN 'UPDATE' THEN 'UPDATE' END AS privilege,
            (e.value ->> 3)::boolean AS is_grantable
          FROM pg_catalog.unnest(waiting) g(place), LATERAL (SELECT object.grants -> g.place::integer AS value OFFSET 0) e ORDER BY g.place LOOP
          CONTINUE WHEN entry.grantor <> object.owner AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_largeobject_metadata m, pg_catalog.aclexplode(m.lomacl) a JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
            WHERE m.oid = object.loid AND r.rolname = entry.grantor AND a.privilege_type = entry.privilege AND a.is_grantable);
          IF entry.grantor <> object.owner THEN
            PERFORM pg_catalog.set_config('role', entry.grantor, true);
          END IF;
          EXECUTE pg_catalog.format('GRANT %s ON LARGE OBJECT %s TO ', entry.privilege, object.loid)
            || CASE WHEN entry.grantee IS NULL THEN 'PUBLIC' ELSE pg_catalog.quote_ident(entry.grantee) END
            || CASE WHEN entry.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END;
          PERFORM pg_catalog.set_config('role', own_role, true);
          SELECT pg_catalog.count(*) INTO granted
            FROM pg_catalog.pg_largeobject_metadata m, pg_catalog.aclexplode(m.lomacl) a JOIN pg_catalog.pg_roles g ON g.oid = a.grantor LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
            WHERE m.oid = object.loid AND a.privilege_type = entry.privilege AND (a.is_grantable OR NOT entry.is_grantable)
            AND (a.grantor = m.lomowner OR g.rolname = entry.grantor) AND (entry.grantee IS NULL AND a.grantee = 0 OR r.rolname = entry.grantee);
          IF granted = 0 THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_grant_operation', MESSAGE = pg_catalog.format('%s on large object %s could not be granted to %s by %I', entry.privilege, object.loid, coalesce(pg_catalog.quote_ident(entry.grantee), 'PUBLIC'), entry.grantor);
          END IF;
          waiting := pg_catalog.array_remove(waiting, entry.place);
          is_stuck := false;
        END LOOP;
        IF is_stuck THEN
          RAISE EXCEPTION USING ERRCODE = 'invalid_grant_operation', MESSAGE = pg_catalog.format('privileges on large object %s could not be granted: role %I may not grant them', object.loid, object.grants -> waiting[1]::integer ->> 0);
        END IF;
      END LOOP;
    END IF;
    IF object.comment IS NOT NULL THEN
      EXECUTE pg_catalog.format('COMMENT ON LARGE OBJECT %s IS %L', object.loid, object.comment);
    END IF;
    FOR entry IN SELECT l.value ->> 0 AS provider, l.value ->> 1 AS label FROM pg_catalog.json_array_elements(object.labels) l LOOP
      EXECUTE pg_catalog.format('SECURITY LABEL FOR %I ON LARGE OBJECT %s IS %L', entry.provider, object.loid, entry.label);
    END LOOP;
    done := done + 1;
    IF done % ${objectsPerTransaction} = 0 THEN
      COMMIT;
    END IF;
  END LOOP;
END
$set$`;

/**
 * Before the content's COPY. Rows of a page are a little longer than what PostgreSQL moves out of a row by default, and trying to compress them is work for nothing.
 */
const stageContent: readonly string[] = [
  'BEGIN',
  'CREATE TEMPORARY TABLE dbbackup_large_object_pages (loid pg_catalog.oid NOT NULL, pageno pg_catalog.int4 NOT NULL, data pg_catalog.bytea NOT NULL) WITH (toast_tuple_target = 4000) ON COMMIT DROP',
  `ALTER TABLE ${pages} ALTER data SET STORAGE EXTERNAL`,
];

const copyContent = `COPY ${pages} FROM STDIN (FORMAT binary)`;

/** A run of adjacent full pages is written by one call, up to this many bytes. */
const runBytes = 1024 * 1024;

/**
 * An empty page makes an object as long as the pages before it: only lo_truncate64 can write one, and it deletes what follows. Nothing does: a stream holds none but the last
 * page of an object, so whatever other workers have written meanwhile stays. Mode 131072 is INV_WRITE; 2 is SEEK_END.
 */
const extendObjects = (pageSizeBytes: number): string => `DO $extend$
DECLARE
  page record;
  descriptor integer;
BEGIN
  FOR page IN SELECT p.loid, p.pageno::bigint * ${pageSizeBytes} AS place FROM ${pages} p WHERE pg_catalog.octet_length(p.data) = 0 ORDER BY p.loid, p.pageno LOOP
    descriptor := pg_catalog.lo_open(page.loid, 131072);
    IF pg_catalog.lo_lseek64(descriptor, 0, 2) <= page.place THEN
      PERFORM pg_catalog.lo_truncate64(descriptor, page.place);
    END IF;
    PERFORM pg_catalog.lo_close(descriptor);
  END LOOP;
END
$extend$`;

/**
 * Writes runs of adjacent pages. Keys are sorted without the data, which is fetched by place: a sort of whole pages would go through the disk. A page that is not full ends
 * its run, so what it lacks reads as zeros; what no page covers stays a hole.
 */
const writePages = (
  pageSizeBytes: number,
): string => `SELECT pg_catalog.count(pg_catalog.lo_put(r.loid, r.pageno * ${pageSizeBytes}, (SELECT pg_catalog.string_agg(p.data, ''::pg_catalog.bytea ORDER BY p.pageno)
  FROM ${pages} p WHERE p.ctid = ANY (r.places))))
FROM (SELECT n.loid, pg_catalog.min(n.pageno)::bigint AS pageno, pg_catalog.array_agg(n.place) AS places FROM (
  SELECT b.loid, b.pageno, b.place, pg_catalog.sum(b.begins) OVER (PARTITION BY b.loid ORDER BY b.pageno) AS run FROM (
    SELECT k.loid, k.pageno, k.place, CASE WHEN k.pageno % ${Math.floor(runBytes / pageSizeBytes)} <> 0 AND k.pageno::bigint * ${pageSizeBytes}
      = pg_catalog.lag(k.pageno::bigint * ${pageSizeBytes} + k.size) OVER w THEN 0 ELSE 1 END AS begins
    FROM (SELECT p.loid, p.pageno, p.ctid AS place, pg_catalog.octet_length(p.data) AS size FROM ${pages} p OFFSET 0) k
    WINDOW w AS (PARTITION BY k.loid ORDER BY k.pageno)) b) n GROUP BY n.loid, n.run) r`;

/** Statements around the COPY of one segment. */
export interface LargeObjectStatements {
  readonly beginSql: readonly string[];
  readonly copySql: string;
  readonly endSql: readonly string[];
}

/** What is done with the segments, in this order: all of metadata, all of content, all of metadata again. */
export type LargeObjectStep = 'create' | 'write' | 'set';

export const toLargeObjectStatements = (step: LargeObjectStep, pageSizeBytes: number): LargeObjectStatements => {
  switch (step) {
    case 'create':
      return { beginSql: stageMetadata('DROP'), copySql: copyMetadata, endSql: [createObjects, 'COMMIT'] };
    case 'write':
      // The keys of a segment fit; a temporary table has no statistics that would tell the planner.
      return {
        beginSql: [...stageContent, "SET LOCAL work_mem TO '64MB'", 'SET LOCAL jit TO off'],
        copySql: copyContent,
        endSql: [extendObjects(pageSizeBytes), writePages(pageSizeBytes), 'COMMIT'],
      };
    case 'set':
      // After the content: an owner may have no right to write. Not in the segment's transaction, which would hold a lock on every object.
      return {
        beginSql: stageMetadata('PRESERVE ROWS'),
        copySql: copyMetadata,
        endSql: ['COMMIT', setProperties, `DROP TABLE ${objects}`],
      };
  }
};

const steps: readonly LargeObjectStep[] = ['create', 'write', 'set'];

/** What restore.sh needs for large objects, by the file's name within `restore/`; nothing where there are none. Lines of the list are in the manifest's order. */
export const toLargeObjectFiles = (
  largeObjects: ManifestLargeObjects | null,
  files: readonly Pick<ManifestFile, 'path' | 'codec'>[],
): ReadonlyMap<string, string> => {
  if (largeObjects === null) return new Map();
  const toScript = (statements: readonly string[]): string => statements.map((sql) => `${sql};\n`).join('');
  const lines = (['content', 'metadata'] as const).flatMap((stream) =>
    largeObjects[stream].segments.map(({ file, offset, storedBytes, rowCount }) => {
      const { path, codec } = files[file] ?? {};
      if (path === undefined || codec === undefined) throw new DbbackupError('internal', `large objects name data file ${file}`);
      return `${[stream, path, offset, storedBytes, codec, rowCount].join('\t')}\n`;
    }),
  );
  const scripts = steps.flatMap((step) => {
    const { beginSql, copySql, endSql } = toLargeObjectStatements(step, largeObjects.pageSizeBytes);
    return [
      [`large-objects-${step}-begin.sql`, toScript([...beginSql, copySql])],
      [`large-objects-${step}-end.sql`, toScript(endSql)],
    ] as const;
  });
  return new Map([['large-objects.tsv', lines.join('')], ...scripts]);
};
