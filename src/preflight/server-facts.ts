import { type QuerySession, queryRow, toFlag, toNumber, toText } from '../catalog/rows.js';

/** What one round trip tells of a server and of the session that asks. */
export interface ServerFacts {
  /** As the server sees this session: a pooler shows its clients another one. */
  readonly backendPid: number;
  readonly version: number;
  readonly isStandby: boolean;
  readonly maxLocksPerTransaction: number;
  /** `max_connections + max_prepared_transactions`: how many times that many locks the server has room for. */
  readonly lockOwnerCount: number;
  /** Locks that are held now, by anybody. */
  readonly heldLockCount: number;
  /** Connections left for this role; the asking one is counted as taken. */
  readonly connectionRoom: number;
  /** As the server writes it; null where there is no such setting (17 and later). */
  readonly oldSnapshotThreshold: string | null;
  readonly isFeedbackOn: boolean;
  /** Milliseconds, -1 for ever. */
  readonly standbyDelayMs: number;
  /** Of the oldest transaction of others that can be seen, prepared ones among them; 0 where there is none. */
  readonly oldestTransactionSeconds: number;
  /** Whose that is, as a person would look for it. */
  readonly oldestTransactionOwner: string;
  /** Transactions since the oldest row of this database was frozen, and multixacts. */
  readonly frozenAge: number;
  readonly multixactAge: number;
  /** Relations of users in this database that a backup of everything locks. */
  readonly relationCount: number;
}

const query = `SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('server_version_num'), pg_catalog.pg_is_in_recovery(),
  pg_catalog.current_setting('max_locks_per_transaction'),
  pg_catalog.current_setting('max_connections')::pg_catalog.int8 + pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int8,
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks l WHERE l.locktype <> 'virtualxid'),
  pg_catalog.current_setting('old_snapshot_threshold', true), pg_catalog.current_setting('hot_standby_feedback') = 'on',
  (SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name = 'max_standby_streaming_delay'),
  coalesce(pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp() - oldest.since)), 0), coalesce(oldest.owner, ''),
  pg_catalog.age(d.datfrozenxid), pg_catalog.mxid_age(d.datminmxid),
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384)
FROM pg_catalog.pg_database d LEFT JOIN (
  SELECT since, owner FROM (
    SELECT a.xact_start AS since, 'server process ' || a.pid::pg_catalog.text || coalesce(' of ' || a.usename, '') AS owner
    FROM pg_catalog.pg_stat_activity a WHERE a.xact_start IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type = 'client backend'
    UNION ALL SELECT p.prepared, 'prepared transaction ' || pg_catalog.quote_literal(p.gid) FROM pg_catalog.pg_prepared_xacts p) t
  ORDER BY since LIMIT 1) oldest ON true
WHERE d.datname = pg_catalog.current_database()`;

/** Connections a server has left for this role. Who may not see what other sessions do still sees that they are there. */
const connectionRoomQuery = `SELECT least(
  pg_catalog.current_setting('max_connections')::int8
    - CASE WHEN r.rolsuper THEN 0 ELSE pg_catalog.current_setting('superuser_reserved_connections')::int8
        + coalesce(nullif(pg_catalog.current_setting('reserved_connections', true), ''), '0')::int8 END
    - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL),
  CASE WHEN r.rolconnlimit < 0 OR r.rolsuper THEN 2147483647
    ELSE r.rolconnlimit - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = r.oid) END,
  CASE WHEN d.datconnlimit < 0 OR r.rolsuper THEN 2147483647
    ELSE d.datconnlimit - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid) END)
FROM pg_catalog.pg_roles r, pg_catalog.pg_database d WHERE r.rolname = SESSION_USER AND d.datname = pg_catalog.current_database()`;

/** For one query alone: nothing that stands in the session's own path is taken for an operator of the server's. */
const safely = (sql: string): string => `SELECT pg_catalog.set_config('search_path', '', true); ${sql}`;

/** Leaves the session as it is. Cost: two round trips, some milliseconds. */
export const readServerFacts = async (session: QuerySession): Promise<ServerFacts> => {
  const row = await queryRow(session, safely(query));
  return {
    backendPid: toNumber(row, 0),
    version: toNumber(row, 1),
    isStandby: toFlag(row, 2),
    maxLocksPerTransaction: toNumber(row, 3),
    lockOwnerCount: toNumber(row, 4),
    heldLockCount: toNumber(row, 5),
    oldSnapshotThreshold: row[6] ?? null,
    isFeedbackOn: toFlag(row, 7),
    standbyDelayMs: toNumber(row, 8),
    oldestTransactionSeconds: toNumber(row, 9),
    oldestTransactionOwner: toText(row, 10),
    frozenAge: toNumber(row, 11),
    multixactAge: toNumber(row, 12),
    relationCount: toNumber(row, 13),
    connectionRoom: toNumber(await queryRow(session, safely(connectionRoomQuery)), 0),
  };
};
