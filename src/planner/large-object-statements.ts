import type { LargeObjectFacts } from '../catalog/model.js';
import type { CopyOutStatements } from './copy-statements.js';
import type { LargeObjectChunk } from './plan.js';

/**
 * How contents are read: the rows of `pg_largeobject` as they are, or, where the role may not read that, the same rows made with the functions for large objects. Those do
 * not tell holes from zeros, and their pages are up to 1 MiB long.
 */
export type LargeObjectReadMethod = 'pages' | 'functions';

export const toReadMethod = ({ canReadPages }: Pick<LargeObjectFacts, 'canReadPages'>): LargeObjectReadMethod =>
  canReadPages ? 'pages' : 'functions';

/** COPY's format of both streams (`docs/format.md` section 3.1). */
export const largeObjectFormats = { content: 'binary', metadata: 'text' } as const;

/**
 * What a session that reads many pages adds to its set-up: the planner knows nothing of `pg_largeobject`, which nobody analyses, and would read all of it for each range, or sort
 * on disk what the index has in order. What is left is a merge of two index scans.
 */
export const pageReadingSql: readonly string[] = ['seqscan', 'bitmapscan', 'sort', 'nestloop', 'hashjoin'].map(
  (name) => `SET enable_${name} TO off`,
);

/**
 * Statements for one chunk. There is no lock and no check as tables have them: `pg_largeobject` and `pg_largeobject_metadata` are catalogs, which no DDL changes, and
 * ranges are of keys, which stay where they are when VACUUM FULL rewrites the file. The snapshot alone says which rows are read: an object unlinked since is still
 * there, one created since is not.
 */
export const toLargeObjectCopyOut = (
  chunk: LargeObjectChunk,
  { pageSizeBytes }: Pick<LargeObjectFacts, 'pageSizeBytes'>,
  readMethod: LargeObjectReadMethod,
): Pick<CopyOutStatements, 'copySql'> & { readonly lockSql: null; readonly checkSql: null; readonly checkExpected: null } => {
  const format = largeObjectFormats[chunk.stream];
  const query = chunk.stream === 'metadata' ? metadataQuery(chunk) : contentQueries[readMethod](chunk, pageSizeBytes);
  return { lockSql: null, checkSql: null, checkExpected: null, copySql: `COPY (${query}) TO STDOUT (FORMAT ${format})` };
};

type Range = Pick<LargeObjectChunk, 'begin' | 'end'>;

const where = (conditions: readonly (string | null)[]): string => {
  const given = conditions.filter((condition) => condition !== null);
  return given.length === 0 ? '' : ` WHERE ${given.join(' AND ')}`;
};

/** Chunks of objects begin and end at page 0. */
const oidRange = ({ begin, end }: Range): string =>
  where([begin === null ? null : `m.oid >= ${begin.oid}`, end === null ? null : `m.oid < ${end.oid}`]);

/**
 * Owner, grants as [grantor, grantee or null for PUBLIC, privilege, may grant it on], comment, labels as [provider, label]. Names are those of the snapshot: pg_get_userbyid
 * would tell those of now. An ACL that says what having none says is none; the owner's own grants come first, the others by name, since the order of an ACL means nothing.
 */
const metadataQuery = (range: Range): string => `SELECT m.oid, r.rolname,
  CASE WHEN m.lomacl IS NOT NULL AND m.lomacl <> pg_catalog.acldefault('L', m.lomowner) THEN (SELECT coalesce(pg_catalog.json_agg(
      pg_catalog.json_build_array(grantor.rolname, grantee.rolname, a.privilege_type, a.is_grantable) ORDER BY a.grantor = m.lomowner DESC, a.grantee = m.lomowner DESC,
      grantor.rolname COLLATE "C", grantee.rolname COLLATE "C", a.privilege_type COLLATE "C"), '[]')
    FROM pg_catalog.aclexplode(m.lomacl) a JOIN pg_catalog.pg_roles grantor ON grantor.oid = a.grantor LEFT JOIN pg_catalog.pg_roles grantee ON grantee.oid = a.grantee
    WHERE a.grantee = 0 OR grantee.oid IS NOT NULL) END,
  (SELECT d.description FROM pg_catalog.pg_description d
    WHERE d.objoid = m.oid AND d.classoid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass AND d.objsubid = 0),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(l.provider, l.label) ORDER BY l.provider COLLATE "C") FROM pg_catalog.pg_seclabel l
    WHERE l.objoid = m.oid AND l.classoid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass AND l.objsubid = 0)
FROM pg_catalog.pg_largeobject_metadata m LEFT JOIN pg_catalog.pg_roles r ON r.oid = m.lomowner${oidRange(range)} ORDER BY m.oid`;

/**
 * Pages of no object, which nothing but a hand in the catalog can leave behind, are passed over, as pg_dump does: nobody could read them, nor could they be written. An
 * empty page matters only as the last of its object, which it makes longer; any other reads as a hole does, and could be written only by cutting off what follows.
 */
const pagesQuery = ({ begin, end }: Range): string => {
  const conditions = where([
    'm.oid = p.loid',
    begin === null ? null : `m.oid >= ${begin.oid} AND (p.loid, p.pageno) >= (${begin.oid}::pg_catalog.oid, ${begin.page})`,
    end === null ? null : `m.oid <= ${end.oid} AND (p.loid, p.pageno) < (${end.oid}::pg_catalog.oid, ${end.page})`,
    '(pg_catalog.octet_length(p.data) > 0 OR NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject n WHERE n.loid = p.loid AND n.pageno > p.pageno))',
  ]);
  return `SELECT p.loid, p.pageno, p.data FROM pg_catalog.pg_largeobject p, pg_catalog.pg_largeobject_metadata m${conditions} ORDER BY p.loid, p.pageno`;
};

const pieceBytes = 1024 * 1024;
/** INV_READ of PostgreSQL's `libpq-fs.h`, and SEEK_END. */
const readMode = 262144;
const seekEnd = 2;

/**
 * An object's size is one expression, which opens, seeks and closes: a descriptor left open would last until the transaction's end. It must not become a join of calls:
 * descriptors repeat, and the planner remembers what a call gave for the same number before (Memoize, PostgreSQL 14).
 */
const functionsQuery = (range: Range, pageSizeBytes: number): string => `SELECT o.oid, (piece.place / ${pageSizeBytes})::pg_catalog.int4,
  pg_catalog.lo_get(o.oid, piece.place, ${pieceBytes})
FROM (SELECT m.oid, (SELECT pg_catalog.lo_lseek64(opened.descriptor, 0, ${seekEnd}) + 0 * pg_catalog.lo_close(opened.descriptor)
    FROM (SELECT pg_catalog.lo_open(m.oid, ${readMode}) AS descriptor OFFSET 0) opened) AS size
  FROM pg_catalog.pg_largeobject_metadata m${oidRange(range)} ORDER BY m.oid OFFSET 0) o
CROSS JOIN LATERAL pg_catalog.generate_series(0::bigint, o.size - 1, ${pieceBytes}) piece(place)`;

const contentQueries: Readonly<Record<LargeObjectReadMethod, (range: Range, pageSizeBytes: number) => string>> = {
  pages: pagesQuery,
  functions: functionsQuery,
};
