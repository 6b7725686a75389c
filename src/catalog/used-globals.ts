import { DbbackupError } from '../core/errors.js';
import { type QuerySession, type Row, toFlag, toText } from './rows.js';

/** A role or tablespace that a database cannot be restored without, as a snapshot sees it. */
export interface UsedGlobal {
  readonly kind: 'role' | 'tablespace';
  /** The bytes that the shared catalog holds, as UTF-8: the same in whichever database it is read. */
  readonly name: string;
  /** What depends on it, one of many: `table app.orders`. Null where nobody can tell. */
  readonly object: string | null;
  /** It was renamed or dropped since the snapshot: what pg_dump writes about privileges is no more what the snapshot sees. */
  readonly isChanged: boolean;
}

/**
 * The roles and tablespaces that a database names: owners, grantees, grantors, roles of policies, of settings and of user mappings. Inside the leader's transaction: of the
 * snapshot. Roles that every server has are left out. Cost: one round trip, a row for each role.
 */
export const readUsedGlobals = async (session: QuerySession, serverVersion: number): Promise<readonly UsedGlobal[]> =>
  (await session.query(usedGlobalsQuery(serverVersion))).rows.map(toUsedGlobal);

/** `role "bob"`. */
export const nameGlobal = ({ kind, name }: Pick<UsedGlobal, 'kind' | 'name'>): string => `${kind} ${JSON.stringify(name)}`;

/** What a database's snapshot sees is not what the backup's roles and tablespaces or its definitions say. */
export const toRoleChanged = (one: UsedGlobal, database: string): DbbackupError =>
  new DbbackupError(
    'role_changed',
    `${nameGlobal(one)} was dropped or renamed while the backup began: ${one.object === null ? '' : `${one.object} of `}database ${JSON.stringify(database)} needs it`,
    { details: { object: one.name } },
  );

const toUsedGlobal = (row: Row): UsedGlobal => ({
  kind: toText(row, 0) === 'r' ? 'role' : 'tablespace',
  name: Buffer.from(toText(row, 1), 'hex').toString('utf8'),
  object: row[2] ?? null,
  isChanged: toFlag(row, 3),
});

/** Names of the shared catalogs have no encoding: each database would convert them from its own. */
const toHex = (name: string): string =>
  `pg_catalog.encode(pg_catalog.replace(${name}::pg_catalog.text, '\\', '\\\\')::pg_catalog.bytea, 'hex')`;

/** `pg_get_userbyid` tells the name a role has now, a scan of `pg_roles` the one it had. 10 is the bootstrap superuser, of whom no dependency is recorded. */
const usedGlobalsQuery = (
  version: number,
): string => `WITH d AS (SELECT oid, datdba, dattablespace FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
used AS (
  SELECT DISTINCT ON (s.refobjid) s.refobjid AS oid, s.classid, s.objid, s.objsubid FROM pg_catalog.pg_shdepend s, d
  WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND (s.dbid = d.oid
    OR s.dbid = 0 AND (s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = d.oid OR s.classid = 'pg_catalog.pg_subscription'::pg_catalog.regclass))
)
SELECT 'r', ${toHex('r.rolname')}, ${version >= 140000 ? 'pg_catalog.pg_describe_object(u.classid, u.objid, u.objsubid)' : 'NULL'}, r.rolname <> pg_catalog.pg_get_userbyid(r.oid)
FROM pg_catalog.pg_roles r LEFT JOIN used u ON u.oid = r.oid
WHERE r.rolname !~ '^pg_' AND (u.oid IS NOT NULL OR r.oid = 10 OR r.oid IN (SELECT datdba FROM d)
  OR r.oid IN (SELECT s.setrole FROM pg_catalog.pg_db_role_setting s, d WHERE s.setdatabase = d.oid))
UNION ALL
SELECT 't', ${toHex('t.spcname')}, NULL, false FROM pg_catalog.pg_tablespace t
WHERE t.spcname !~ '^pg_' AND (t.oid IN (SELECT dattablespace FROM d) OR t.oid IN (SELECT reltablespace FROM pg_catalog.pg_class))`;
