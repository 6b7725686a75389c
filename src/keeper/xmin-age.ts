import type { Keeper } from './keeper.js';
import type { KeeperState } from './replies.js';

/**
 * How many transactions have begun since the session's snapshot was taken, as of the last checkpoint: `age()` stands still within a transaction. What is older than the
 * snapshot cannot be vacuumed.
 */
const xminAgeQuery = `SELECT greatest(0, (pg_catalog.split_part(next_xid, ':', 1)::pg_catalog.int8 << 32) + pg_catalog.split_part(next_xid, ':', 2)::pg_catalog.int8
  - pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text::pg_catalog.int8) FROM pg_catalog.pg_control_checkpoint()`;

/** Reads nothing, takes no snapshot, and cannot fail: for a server whose control data this role may not read. */
const emptyQuery = '';

/** What a keeper runs at each ping, in a session that holds a snapshot. An error of it would end the transaction, so a role that may not run it gets another. */
export const readPing = async (session: Keeper['session']): Promise<string> => {
  const { rows } = await session.query("SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE')");
  return rows[0]?.[0] === 't' ? xminAgeQuery : emptyQuery;
};

/** The age that a keeper's last ping has read; null where none has. */
export const toXminAge = ({ pinged }: KeeperState): number | null => (pinged === null || !/^\d+$/.test(pinged) ? null : Number(pinged));
