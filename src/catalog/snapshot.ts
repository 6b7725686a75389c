import { DbbackupError, toDbbackupError } from '../core/errors.js';
import { afterFailure } from './after-failure.js';
import { introspect } from './introspect.js';
import type { HeldSnapshot, Leader, SnapshotOptions } from './leader.js';
import { adviseLockRoom } from './lock-room.js';
import type { Catalog, Relation } from './model.js';
import { displayName } from './names.js';
import { prelude } from './prelude.js';
import { checkPrivileges } from './privileges.js';
import { changedRelationsQuery, configQuery, exportQuery, lockHoldersQuery, lockListQuery } from './queries.js';
import { type QuerySession, queryRow, toNumber, toText } from './rows.js';
import { readScope, type Scope, wholeScope } from './scope.js';
import { readGuard } from './snapshot-guard.js';

/** What a lock needs to know of a relation. */
type Lockable = Pick<Relation, 'oid' | 'quotedName'>;

/** A statement of 200 names stays readable in the server's log, and 20 000 relations take 100 round trips. */
const relationsPerLock = 200;
const maxTries = 5;

/** SQLSTATEs of statements that name what somebody has dropped, renamed or replaced since it was listed. */
const goneStates: ReadonlySet<string> = new Set(['42P01', '3F000', '42704', '42703', '42809']);

const isGone = ({ code, message, details }: DbbackupError): boolean =>
  code === 'relation_changed' ||
  goneStates.has(details.sqlstate ?? '') ||
  // Untranslated messages of system functions that meet a relation in the middle of its DROP.
  (details.sqlstate === 'XX000' && /could not open relation with OID|cache lookup failed/.test(message));

/**
 * A Leader in this process. It uses `session` alone until the snapshot is released, and leaves it open.
 *
 * The locks come first: relations are listed, locked inside the new transaction, and only then does its first query fix the snapshot (LOCK TABLE takes none, see the
 * manual's page of LOCK). What was created in between is locked afterwards. Then names and files of all are compared with the snapshot's.
 */
export const createLocalLeader = (session: QuerySession): Leader => {
  let held: HeldSnapshot | null = null;
  const readStart = async (): Promise<string> => toText(await queryRow(session, transactionStartQuery), 0);
  return {
    takeSnapshot: async (options = {}) => {
      if (held !== null) throw new DbbackupError('internal', 'the leader holds a snapshot already');
      for (const sql of prelude('UTF8')) await session.query(sql);
      held = await takeWithRetries(session, options);
      return held;
    },
    adoptSnapshot: async (known) => {
      if (held !== null) throw new DbbackupError('internal', 'the leader holds a snapshot already');
      if ((await readStart()) !== known.transactionStart)
        throw new DbbackupError('snapshot_invalid', 'the transaction that holds the snapshot has ended');
      await checkConditions(session, known.catalog);
      held = { ...known, guard: await readGuard(session, known.catalog.server.systemIdentifier !== '') };
      return held;
    },
    checkSnapshot: async () => {
      if (held === null || (await readStart()) !== held.transactionStart) {
        throw new DbbackupError('snapshot_invalid', 'the transaction that holds the snapshot has ended');
      }
    },
    releaseSnapshot: async () => {
      if (held === null) return;
      held = null;
      await session.query('ROLLBACK');
    },
  };
};

/** A condition is SQL, and a catalog that was kept in a file may be anybody's: it must be what the server says. */
const checkConditions = async (session: QuerySession, { relations }: Catalog): Promise<void> => {
  const told = new Map((await session.query(configQuery)).rows.map((row) => [toNumber(row, 0), toText(row, 1)]));
  const changed = relations.find(({ oid, condition }) => condition !== null && condition !== told.get(oid));
  if (changed === undefined) return;
  const object = displayName(changed);
  throw new DbbackupError('manifest_damaged', `the condition that was recorded for ${object} is not the server's`, { details: { object } });
};

/** Stays the same within a transaction and for no longer. */
const transactionStartQuery = 'SELECT pg_catalog.transaction_timestamp()';

const takeWithRetries = async (session: QuerySession, options: SnapshotOptions): Promise<HeldSnapshot> => {
  for (let tries = 1; ; tries += 1) {
    try {
      return await takeOnce(session, options);
    } catch (error) {
      const failure = toDbbackupError(error);
      if (!isGone(failure)) throw failure;
      if (tries === maxTries) {
        const { object } = failure.details;
        const message = `${failure.message}, at each of ${maxTries} tries`;
        throw new DbbackupError('relation_changed', message, { cause: failure, details: object === undefined ? {} : { object } });
      }
    }
  }
};

const takeOnce = async (session: QuerySession, options: SnapshotOptions): Promise<HeldSnapshot> => {
  // Once to know what to lock, and again as the snapshot sees it.
  const readOwnScope = async (): Promise<Scope> =>
    options.scope === undefined
      ? wholeScope
      : readScope(session, options.scope, toText(await queryRow(session, 'SELECT pg_catalog.current_database()'), 0));
  const scope = await readOwnScope();
  await checkPrivileges(session, scope);
  const listed = (await session.query(lockListQuery(scope.oids))).rows.map((row) => ({
    oid: toNumber(row, 0),
    quotedName: toText(row, 1),
  }));
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  let locking: readonly Lockable[] = [];
  const lockAll = async (relations: readonly Lockable[]): Promise<void> => {
    for (let begin = 0; begin < relations.length; begin += relationsPerLock) {
      locking = relations.slice(begin, begin + relationsPerLock);
      await session.query(`LOCK TABLE ${locking.map(({ quotedName }) => `ONLY ${quotedName}`).join(', ')} IN ACCESS SHARE MODE`);
    }
  };
  try {
    await session.query(`SET LOCAL lock_timeout TO ${Math.max(0, Math.round(options.lockTimeoutMs ?? 0))}`);
    await lockAll(listed);
    await options.whenLocked?.();
    // The first query of the transaction: the snapshot is as old as the time told with it.
    const row = await queryRow(session, exportQuery);
    const catalog = await introspect(session, await readOwnScope());
    // Locks are taken by name: one that was renamed or created meanwhile is locked under the name the snapshot sees.
    const lockedNames = new Map(listed.map(({ oid, quotedName }) => [oid, quotedName]));
    await lockAll(catalog.relations.filter(({ oid, quotedName }) => lockedNames.get(oid) !== quotedName));
    await checkUnchanged(session, catalog);
    await session.query('SET LOCAL lock_timeout TO 0');
    return {
      snapshot: toText(row, 0),
      lsn: toText(row, 1),
      takenAt: toText(row, 2),
      catalog,
      transactionStart: toText(await queryRow(session, transactionStartQuery), 0),
      guard: await readGuard(session, catalog.server.systemIdentifier !== ''),
    };
  } catch (error) {
    const failure = await afterFailure(error, () => session.query('ROLLBACK'));
    throw await explainLockError(session, failure, locking, listed.length);
  }
};

/** Says which relation could not be locked and who stands in the way; the server names neither when a lock's time has passed. Needs no transaction. */
const explainLockError = async (
  session: QuerySession,
  error: DbbackupError,
  batch: readonly Lockable[],
  count: number,
): Promise<DbbackupError> => {
  if (error.details.sqlstate === '53200') {
    const hint = await adviseLockRoom(session, count);
    return new DbbackupError(error.code, `the server has no room for ${count} locks: ${error.message}`, {
      cause: error,
      details: { ...error.details, hint },
    });
  }
  if (error.details.sqlstate !== '55P03') return error;
  const holder = (await session.query(lockHoldersQuery, [`{${batch.map(({ oid }) => oid).join(',')}}`])).rows[0];
  if (holder === undefined)
    return new DbbackupError('lock_not_available', 'the time to wait for locks has passed', { cause: error, details: error.details });
  const object = displayName({ schema: toText(holder, 0), name: toText(holder, 1) });
  const message = `${object} is locked by server process ${holder[2] ?? 'unknown'}`;
  return new DbbackupError('lock_not_available', message, { cause: error, details: { ...error.details, object } });
};

const checkUnchanged = async (session: QuerySession, catalog: Catalog): Promise<void> => {
  const { rows } = await session.query(changedRelationsQuery, [`{${catalog.relations.map(({ oid }) => oid).join(',')}}`]);
  const first = rows[0];
  if (first === undefined) return;
  const object = displayName({ schema: toText(first, 0), name: toText(first, 1) });
  throw new DbbackupError('relation_changed', `${object} was rewritten, renamed or dropped while the snapshot was taken`, {
    details: { object },
  });
};
