import { DbbackupError } from '../core/errors.js';
import type { LargeObjectFacts, LargeObjectKey } from './model.js';
import { type QuerySession, queryRow, toFlag, toNumber, toText } from './rows.js';

/** Places that are looked at to part the pages, and OIDs that part the objects: enough for hundreds of chunks, and a bound for memory whatever the database holds. */
const boundaryCount = 512;
/** Below this nothing is parted. */
const minPartedBytes = 16 * 1024 * 1024;
const minPartedObjects = 50_000;
/** PostgreSQL's LOBLKSIZE: four pages and no more fit into a block of `pg_largeobject`. */
const pagesPerBlock = 4;

/**
 * The database's large objects as a whole, or null where it has none. Proves that this role can read each of them.
 * Cost: a pass over the index of `pg_largeobject_metadata` and up to 512 blocks of `pg_largeobject`; constant memory.
 * Errors: `permission_denied` naming the first objects and the statement to run.
 */
export const readLargeObjectFacts = async (session: QuerySession, blockSizeBytes: number): Promise<LargeObjectFacts | null> => {
  const row = await queryRow(session, sizesQuery);
  const objectCount = toNumber(row, 0);
  if (objectCount === 0) return null;
  const contentBytes = toNumber(row, 1);
  const canReadPages = toFlag(row, 2);
  if (!canReadPages) await checkReadable(session);
  const isParted = contentBytes >= minPartedBytes;
  return {
    objectCount,
    contentBytes,
    pageSizeBytes: blockSizeBytes / pagesPerBlock,
    canReadPages,
    pageBoundaries: isParted && canReadPages ? await readPageBoundaries(session, Math.ceil(contentBytes / blockSizeBytes)) : [],
    oidBoundaries: (isParted && !canReadPages) || objectCount >= minPartedObjects ? await readOidBoundaries(session, objectCount) : [],
  };
};

const sizesQuery = `SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata),
  pg_catalog.pg_relation_size('pg_catalog.pg_largeobject'::pg_catalog.regclass, 'main'),
  pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')`;

/** Rows tried in a block: the first ones may be dead. */
const triedRows = [1, 2, 3, 4, 5, 6, 7, 8];

/** One row of each of some blocks at equal distances, in the order of keys: an object of half of all bytes gets half of the boundaries. */
const readPageBoundaries = async (session: QuerySession, blockCount: number): Promise<readonly LargeObjectKey[]> => {
  const places = triedRows.map((row) => `('(' || b.block || ',${row})')::pg_catalog.tid`).join(', ');
  const { rows } = await session.query(`SELECT l.loid, l.pageno
FROM (SELECT DISTINCT i * ${blockCount} / ${boundaryCount} AS block FROM pg_catalog.generate_series(0::bigint, ${boundaryCount - 1}) i) b
CROSS JOIN LATERAL (SELECT p.loid, p.pageno FROM pg_catalog.pg_largeobject p WHERE p.ctid = ANY (ARRAY[${places}]) LIMIT 1) l
ORDER BY l.loid, l.pageno`);
  return rows.map((row) => ({ oid: toNumber(row, 0), page: toNumber(row, 1) }));
};

const readOidBoundaries = async (session: QuerySession, objectCount: number): Promise<readonly number[]> => {
  const step = Math.max(1, Math.ceil(objectCount / boundaryCount));
  const { rows } = await session.query(`SELECT o.oid FROM (SELECT m.oid, pg_catalog.row_number() OVER (ORDER BY m.oid) - 1 AS place
  FROM pg_catalog.pg_largeobject_metadata m) o WHERE o.place % ${step} = 0 AND o.place > 0 ORDER BY o.oid`);
  return rows.map((row) => toNumber(row, 0));
};

const shownCount = 5;

/** What `lo_get` will ask of every object: SELECT on it, owned or granted. Servers with `lo_compat_privileges` ask nothing. */
const checkReadable = async (session: QuerySession): Promise<void> => {
  const { rows } = await session.query(`SELECT m.oid, pg_catalog.count(*) OVER (), pg_catalog.quote_ident(current_user)
FROM pg_catalog.pg_largeobject_metadata m
WHERE pg_catalog.current_setting('lo_compat_privileges') <> 'on' AND NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE') AND NOT EXISTS (
  SELECT FROM pg_catalog.aclexplode(m.lomacl) a
  WHERE a.privilege_type = 'SELECT' AND CASE WHEN a.grantee = 0 THEN true ELSE pg_catalog.pg_has_role(a.grantee, 'USAGE') END)
ORDER BY m.oid LIMIT ${shownCount}`);
  const [first] = rows;
  if (first === undefined) return;
  const [count, role] = [toNumber(first, 1), toText(first, 2)];
  const oids = rows.map((row) => toText(row, 0)).join(', ');
  const objects = `large object${count === 1 ? '' : 's'} ${oids}${count > rows.length ? ` and ${count - rows.length} more` : ''}`;
  throw new DbbackupError('permission_denied', `role ${role} may not read ${objects}`, {
    details: {
      object: `large object ${toText(first, 0)}`,
      hint: `Run: GRANT SELECT ON LARGE OBJECT ${oids} TO ${role}; Or for all at once, and faster: GRANT SELECT ON TABLE pg_catalog.pg_largeobject TO ${role};`,
    },
  });
};
