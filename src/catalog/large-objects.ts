import { DbbackupError } from '../core/errors.js';
import type { LargeObjectBoundary, LargeObjectFacts } from './model.js';
import { type QuerySession, queryRow, toFlag, toNumber, toText } from './rows.js';

/** Places that are looked at to part the pages, and OIDs that part the objects: enough for hundreds of chunks, and a bound for memory whatever the database holds. */
const boundaryCount = 512;
/** Below this nothing is parted. */
const minPartedBytes = 16 * 1024 * 1024;
const minPartedObjects = 50_000;
/** PostgreSQL's LOBLKSIZE: a page is a quarter of a block, unless it is compressed. */
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
  const storedBytes = toNumber(row, 1);
  const canReadPages = toFlag(row, 2);
  if (!canReadPages) await checkReadable(session);
  await checkOwners(session);
  const pageBoundaries = canReadPages ? await readPageBoundaries(session, Math.ceil(storedBytes / blockSizeBytes), blockSizeBytes) : [];
  const contentBytes = canReadPages ? Math.ceil(pageBoundaries.reduce((sum, { rawBytes }) => sum + rawBytes, 0)) : storedBytes;
  const isParted = contentBytes >= minPartedBytes;
  return {
    objectCount,
    contentBytes,
    pageSizeBytes: blockSizeBytes / pagesPerBlock,
    canReadPages,
    pageBoundaries: isParted ? pageBoundaries : [],
    oidBoundaries: (isParted && !canReadPages) || objectCount >= minPartedObjects ? await readOidBoundaries(session, objectCount) : [],
  };
};

const sizesQuery = `SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata),
  pg_catalog.pg_relation_size('pg_catalog.pg_largeobject'::pg_catalog.regclass, 'main'),
  pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')`;

/** A row takes at least so many bytes of a block, with its line pointer. */
const minRowBytes = 28;

/**
 * One row of each of some blocks at equal distances, in the order of keys, with what all rows of that block hold times the distance: compressed pages are many to a
 * block. Cost: as many tries for each block as rows can be in it, about 0.1 s in all.
 */
const readPageBoundaries = async (
  session: QuerySession,
  blockCount: number,
  blockSizeBytes: number,
): Promise<readonly LargeObjectBoundary[]> => {
  const sampledCount = Math.min(blockCount, boundaryCount);
  const rowsPerBlock = Math.floor(blockSizeBytes / minRowBytes);
  const { rows } = await session.query(`SELECT l.loid, l.pageno, l.bytes
FROM (SELECT i * ${blockCount} / ${boundaryCount} AS block FROM pg_catalog.generate_series(0::bigint, ${boundaryCount - 1}) i GROUP BY 1) b
CROSS JOIN LATERAL (SELECT pg_catalog.array_agg(('(' || b.block || ',' || row || ')')::pg_catalog.tid) AS list
  FROM pg_catalog.generate_series(1, ${rowsPerBlock}) row) places
CROSS JOIN LATERAL (SELECT p.loid, p.pageno, pg_catalog.sum(pg_catalog.octet_length(p.data)) OVER () AS bytes
  FROM pg_catalog.pg_largeobject p WHERE p.ctid = ANY (places.list) ORDER BY p.loid, p.pageno LIMIT 1) l
ORDER BY l.loid, l.pageno`);
  const distance = blockCount / Math.max(1, sampledCount);
  return rows.map((row) => ({ oid: toNumber(row, 0), page: toNumber(row, 1), rawBytes: Math.ceil(toNumber(row, 2) * distance) }));
};

const readOidBoundaries = async (session: QuerySession, objectCount: number): Promise<readonly number[]> => {
  const step = Math.max(1, Math.ceil(objectCount / boundaryCount));
  const { rows } = await session.query(`SELECT o.oid FROM (SELECT m.oid, pg_catalog.row_number() OVER (ORDER BY m.oid) - 1 AS place
  FROM pg_catalog.pg_largeobject_metadata m) o WHERE o.place % ${step} = 0 AND o.place > 0 ORDER BY o.oid`);
  return rows.map((row) => toNumber(row, 0));
};

const shownCount = 5;

/** What `lo_get` will ask of every object: SELECT on it, which owners have unless they gave it up. Servers with `lo_compat_privileges` ask nothing. */
const checkReadable = async (session: QuerySession): Promise<void> => {
  const { rows } = await session.query(`SELECT m.oid, pg_catalog.count(*) OVER (), pg_catalog.quote_ident(current_user)
FROM pg_catalog.pg_largeobject_metadata m
WHERE pg_catalog.current_setting('lo_compat_privileges') <> 'on' AND NOT EXISTS (
  SELECT FROM pg_catalog.aclexplode(coalesce(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) a
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

/** An owner that is no role, which nothing but a hand in the catalog can leave behind: nobody could be made the owner at a target. */
const checkOwners = async (session: QuerySession): Promise<void> => {
  const { rows } = await session.query(`SELECT m.oid, m.lomowner FROM pg_catalog.pg_largeobject_metadata m
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = m.lomowner) ORDER BY m.oid LIMIT 1`);
  const [first] = rows;
  if (first === undefined) return;
  const object = `large object ${toText(first, 0)}`;
  throw new DbbackupError('value_unsupported', `${object} belongs to role ${toText(first, 1)}, which does not exist`, {
    details: { object, hint: `Run: ALTER LARGE OBJECT ${toText(first, 0)} OWNER TO CURRENT_USER;` },
  });
};

/**
 * Tells of pages of objects that do not exist: they are passed over. Looks up each OID that has pages in the index, not each page; nothing where this role may not read pages.
 */
export const readLargeObjectWarnings = async (session: QuerySession): Promise<readonly string[]> => {
  if (!toFlag(await queryRow(session, "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')"), 0)) return [];
  const row = await queryRow(session, strayPagesQuery);
  const count = toNumber(row, 0);
  if (count === 0) return [];
  const objects = count === 1 ? '1 large object that does not exist' : `${count} large objects that do not exist`;
  return [`pg_largeobject holds pages of ${objects} (the first is ${toText(row, 1)}): they are not saved, nor can anybody read them`];
};

const strayPagesQuery = `WITH RECURSIVE o(loid) AS (
  (SELECT p.loid FROM pg_catalog.pg_largeobject p ORDER BY p.loid LIMIT 1)
  UNION ALL SELECT (SELECT p.loid FROM pg_catalog.pg_largeobject p WHERE p.loid > o.loid ORDER BY p.loid LIMIT 1) FROM o WHERE o.loid IS NOT NULL)
SELECT pg_catalog.count(*), coalesce(pg_catalog.min(o.loid), 0) FROM o
WHERE o.loid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata m WHERE m.oid = o.loid)`;
