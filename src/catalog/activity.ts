import { displayName } from './names.js';
import { type QuerySession, toNumber, toText } from './rows.js';

/** Within a transaction the server shows the activity of the moment of the first look, until it is told to forget it. */
const forgetActivity = 'SELECT pg_catalog.pg_stat_clear_snapshot()';

/** What `pg_stat_activity` says of a server process: its state and what it waits for; null when there is none. Any session of the server may ask. */
export const readBackendState = async (session: QuerySession, pid: number) => {
  await session.query(forgetActivity);
  const { rows } = await session.query(
    `SELECT a.state, a.wait_event_type, a.wait_event,
  CASE WHEN a.wait_event_type = 'Lock' THEN pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(a.pid), ',') ELSE '' END
FROM pg_catalog.pg_stat_activity a WHERE a.pid = $1::pg_catalog.int4`,
    [String(pid)],
  );
  const [row] = rows;
  if (row === undefined) return null;
  const blockers = (row[3] ?? '')
    .split(',')
    .filter((text) => text !== '')
    .map(Number);
  return { state: row[0] ?? null, waitEventType: row[1] ?? null, waitEvent: row[2] ?? null, blockers };
};

/** Another session that waits for a relation which the asking session has locked. */
export interface LockWaiter {
  readonly relation: string;
  readonly pid: number;
  /** `psql: ALTER TABLE orders …`, as far as this role may see it. */
  readonly description: string;
  /** Of the asking session. */
  readonly holderPid: number;
}

/**
 * Who waits for a lock that excludes readers from a relation which this session has locked: for the leader's own session. Readers that come after such a one queue behind it, the
 * backup's workers among them. Cost: the server lists all locks, those of this session included.
 */
export const readLockQueue = async (session: QuerySession): Promise<readonly LockWaiter[]> => {
  await session.query(forgetActivity);
  const { rows } = await session.query(`WITH locks AS MATERIALIZED (
  SELECT l.pid, l.relation, l.mode, l.granted FROM pg_catalog.pg_locks l WHERE l.locktype = 'relation'
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
)
SELECT n.nspname, c.relname, w.pid, coalesce(nullif(a.application_name, ''), a.usename::pg_catalog.text, ''), coalesce(pg_catalog.left(a.query, 100), ''), pg_catalog.pg_backend_pid()
FROM locks w JOIN pg_catalog.pg_class c ON c.oid = w.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid
WHERE w.mode = 'AccessExclusiveLock' AND NOT w.granted
  AND EXISTS (SELECT FROM locks h WHERE h.pid = pg_catalog.pg_backend_pid() AND h.relation = w.relation AND h.granted)
ORDER BY w.pid, 1, 2`);
  return rows.map((row) => ({
    relation: displayName({ schema: toText(row, 0), name: toText(row, 1) }),
    pid: toNumber(row, 2),
    description: [toText(row, 3), toText(row, 4).replace(/\s+/g, ' ').trim()].filter((part) => part !== '').join(': '),
    holderPid: toNumber(row, 5),
  }));
};
