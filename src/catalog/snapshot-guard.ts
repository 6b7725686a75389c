import type { SnapshotGuard } from './leader.js';
import { type QuerySession, queryRow, toNumber, toText } from './rows.js';

/**
 * What must be the same in the session that holds a snapshot and in those that import it: the cluster of databases, the server's run, and the holder's process and
 * transaction. Where the role may not see another's sessions, which hides its own as well after SET ROLE, the last two are empty on both sides.
 */
const toGuardSql = (backendPid: number, canReadIdentifier: boolean): string =>
  `SELECT pg_catalog.concat_ws(' ', ${canReadIdentifier ? '(SELECT system_identifier FROM pg_catalog.pg_control_system())' : "''"},
  ${toUtcText('pg_catalog.pg_postmaster_start_time()')},
  (SELECT pg_catalog.concat_ws(' ', a.pid, coalesce(${toUtcText('a.backend_start')}, ''), coalesce(${toUtcText('a.xact_start')}, '')) FROM pg_catalog.pg_stat_get_activity(${backendPid}) a))`;

/** As no setting of a session changes it. */
const toUtcText = (time: string): string => `pg_catalog.to_char(${time} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')`;

/** The guard of the snapshot that this session's transaction holds. `canReadIdentifier`: the role may call `pg_control_system`. */
export const readGuard = async (session: QuerySession, canReadIdentifier: boolean): Promise<SnapshotGuard> => {
  const sql = toGuardSql(toNumber(await queryRow(session, 'SELECT pg_catalog.pg_backend_pid()'), 0), canReadIdentifier);
  return { sql, expected: toText(await queryRow(session, sql), 0) };
};
