import { DbbackupError } from '../core/errors.js';
import type { Session } from '../native/session.js';

/**
 * What keeps the server from dropping a database, or would be lost with it unseen: others' sessions (the server ends those of autovacuum itself), prepared
 * transactions, logical replication slots, and subscriptions.
 */
const usersQuery = `SELECT * FROM (
  SELECT 1, pg_catalog.format('server process %s (%s, role %I)', a.pid, coalesce(nullif(a.application_name, ''), a.backend_type), a.usename)
  FROM pg_catalog.pg_stat_activity a WHERE a.datname = $1 AND a.pid <> pg_catalog.pg_backend_pid() AND coalesce(a.backend_type, '') <> 'autovacuum worker'
  UNION ALL SELECT 2, pg_catalog.format('prepared transaction %L', p.gid) FROM pg_catalog.pg_prepared_xacts p WHERE p.database = $1
  UNION ALL SELECT 3, pg_catalog.format('replication slot %I', s.slot_name) FROM pg_catalog.pg_replication_slots s WHERE s.database = $1
  UNION ALL SELECT 4, pg_catalog.format('subscription %I', u.subname) FROM pg_catalog.pg_subscription u JOIN pg_catalog.pg_database d ON d.oid = u.subdbid WHERE d.datname = $1
) u(kind, what) ORDER BY 1, 2 LIMIT 6`;

/** Errors: `target_in_use` naming who uses the database. */
export const checkDroppable = async (session: Session, name: string): Promise<void> => {
  const users = (await session.query(usersQuery, [name])).rows.map(([, what]) => what ?? '');
  if (users.length === 0) return;
  const listed = users.length < 6 ? users : [...users.slice(0, 5), 'others'];
  throw new DbbackupError('target_in_use', `database ${JSON.stringify(name)} cannot be dropped: it is used by ${listed.join(', ')}`, {
    details: { object: name },
  });
};
