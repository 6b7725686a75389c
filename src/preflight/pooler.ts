import { type QuerySession, queryRow, toNumber } from '../catalog/rows.js';
import { toDbbackupError } from '../core/errors.js';
import { type Finding, fail, ok, warn } from '../core/findings.js';

/** How a second session of the same connection options is opened, used and closed. */
export type WithSecondSession = <T>(use: (session: QuerySession) => Promise<T>) => Promise<T>;

const pidQuery = 'SELECT pg_catalog.pg_backend_pid()';
const remedy = 'Connect to the PostgreSQL server itself, for example to its port 5432, or to a pool in session mode.';

const readPid = async (session: QuerySession): Promise<number> => toNumber(await queryRow(session, pidQuery), 0);

/**
 * Tells a direct connection from a pooled one, and a pool that keeps sessions from one that gives a session another server process for each transaction: there
 * a snapshot, a lock or a setting belongs to whoever comes next.
 *
 * `toldPid` is the process that the client was told of when it connected: a pooler tells one of its own making. Only where it differs from the `firstPid` that the
 * server says it is, a second session is opened: two sessions that are served by one process, or one that is served by two, prove the rest.
 */
export const examinePooler = async (
  session: QuerySession,
  {
    toldPid,
    firstPid,
    withSecondSession,
  }: { readonly toldPid: number; readonly firstPid: number; readonly withSecondSession: WithSecondSession },
): Promise<Finding> => {
  if (toldPid === firstPid) return ok('pooler', `a direct connection to server process ${firstPid}`);
  const pooled = (how: string): Finding =>
    fail(
      'pooler',
      `the connection goes through a pooler that gives each transaction another server process: ${how}. The snapshot, the locks and the settings of a backup would be lost between two statements`,
      remedy,
    );
  try {
    return await withSecondSession(async (second) => {
      await second.query('BEGIN');
      const secondPid = await readPid(second);
      if (secondPid === firstPid) return pooled(`two sessions were served by process ${firstPid}`);
      const laterPid = await readPid(session);
      if (laterPid !== firstPid) return pooled(`one session was served by processes ${firstPid} and ${laterPid}`);
      await second.query('ROLLBACK');
      return warn(
        'pooler',
        'the connection goes through a pooler that keeps sessions',
        `${remedy} Its pool must have room for all connections of the backup.`,
      );
    });
  } catch (error) {
    const { message, details } = toDbbackupError(error);
    // Statement pooling refuses BEGIN; a small pool lets the second session wait until the first has gone.
    if (details.sqlstate === undefined && !/pooling|pooler|timeout/i.test(message)) throw error;
    return fail('pooler', `the connection goes through a pooler that does not serve a second session: ${message}`, remedy);
  }
};
