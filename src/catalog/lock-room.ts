import { type QuerySession, queryRow, toNumber } from './rows.js';

/** The lock table's size is `max_locks_per_transaction` for each of these (storage/lmgr/lock.c, `NLOCKENTS`). */
const lockRoomQuery = `SELECT pg_catalog.current_setting('max_locks_per_transaction')::pg_catalog.int4,
  pg_catalog.current_setting('max_connections')::pg_catalog.int4 + pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int4`;

/** Locks that the server has room for, of all its sessions together. */
export const readLockRoom = async (session: QuerySession): Promise<number> => {
  const row = await queryRow(session, lockRoomQuery);
  return toNumber(row, 0) * toNumber(row, 1);
};

/**
 * Advice for a server whose lock table is too small: the value of `max_locks_per_transaction` that leaves room for all locks of a backup of so many relations. Each is
 * locked twice, by the leader and by pg_dump. Needs a session without a failed transaction.
 */
export const adviseLockRoom = async (session: QuerySession, relationCount: number): Promise<string> => {
  const row = await queryRow(session, lockRoomQuery);
  const current = toNumber(row, 0);
  const needed = Math.ceil((relationCount * 2) / toNumber(row, 1));
  // Where that many were there already, others hold the rest.
  const wanted = Math.max(needed, needed > current ? 0 : current * 2);
  return `Set max_locks_per_transaction = ${wanted} or more on the server (now ${current}) and restart it: the backup and pg_dump each lock ${relationCount} relations at the same time.`;
};
