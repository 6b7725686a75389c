/** What a server's settings and state mean for a backup. Pure. */
import { type Finding, fail, ok, warn } from '../core/findings.js';
import { formatCount, formatDuration, formatPlural } from '../core/units.js';
import type { ServerFacts } from './server-facts.js';

/** Besides those of its jobs a backup has a session for control and one that holds the snapshot. pg_dump's has ended before the jobs begin. */
const controlConnections = 2;

/** Whether the server has a connection for each of `jobs`, and for what else a backup connects. */
export const judgeConnections = ({ connectionRoom }: Pick<ServerFacts, 'connectionRoom'>, jobs: number): Finding => {
  // The session that asks is one of them.
  const needed = jobs + controlConnections - 1;
  const measured = `${formatCount(Math.max(0, connectionRoom))} of the connections that this role may open are free, ${needed} are needed for ${formatPlural(jobs, 'job')}`;
  if (connectionRoom >= needed) return ok('connections', measured);
  const possible = connectionRoom - (controlConnections - 1);
  const lower = possible >= 1 ? `Use --jobs ${possible}, or raise` : 'Raise';
  return (connectionRoom < jobs ? fail : warn)(
    'connections',
    measured,
    `${lower} max_connections or the CONNECTION LIMIT of the role or database.`,
  );
};

/** Whether all relations can be locked twice, by the backup and by pg_dump. `relationCount`: of all databases whose snapshots are held together. */
export const judgeLocks = (
  facts: Pick<ServerFacts, 'maxLocksPerTransaction' | 'lockOwnerCount' | 'heldLockCount'>,
  relationCount: number,
): Finding => {
  const needed = relationCount * 2;
  const room = facts.maxLocksPerTransaction * facts.lockOwnerCount;
  const measured = `${formatCount(needed)} locks for ${formatPlural(relationCount, 'relation')}, the server has room for ${formatCount(room)} and holds ${formatCount(facts.heldLockCount)}`;
  const wanted = Math.ceil((needed + facts.heldLockCount) / facts.lockOwnerCount);
  const remedy = `Set max_locks_per_transaction = ${Math.max(wanted, facts.maxLocksPerTransaction)} or more on the server (now ${facts.maxLocksPerTransaction}) and restart it.`;
  if (needed > room) return fail('locks', measured, remedy);
  return needed + facts.heldLockCount > room ? warn('locks', measured, remedy) : ok('locks', measured);
};

/** Up to 16 a server may be set to give up old snapshots. Only a whole day or more leaves a long backup alone. */
export const judgeOldSnapshots = ({ oldSnapshotThreshold }: Pick<ServerFacts, 'oldSnapshotThreshold'>): readonly Finding[] => {
  if (oldSnapshotThreshold === null) return [];
  const measured = `old_snapshot_threshold is ${oldSnapshotThreshold}`;
  if (oldSnapshotThreshold === '-1') return [ok('old_snapshot_threshold', measured)];
  return [
    warn(
      'old_snapshot_threshold',
      measured,
      'Set old_snapshot_threshold = -1 and restart the server: a backup that takes longer fails with "snapshot too old".',
    ),
  ];
};

const longTransactionSeconds = 3600;

export const judgeTransactions = ({
  oldestTransactionSeconds,
  oldestTransactionOwner,
}: Pick<ServerFacts, 'oldestTransactionSeconds' | 'oldestTransactionOwner'>): Finding => {
  if (oldestTransactionOwner === '') return ok('transactions', 'no other transaction is open');
  const measured = `the oldest other transaction is ${formatDuration(oldestTransactionSeconds * 1000)} old (${oldestTransactionOwner})`;
  return oldestTransactionSeconds < longTransactionSeconds
    ? ok('transactions', measured)
    : warn(
        'transactions',
        measured,
        'End it if it is forgotten: with the backup’s snapshot it keeps dead rows from being removed, and its locks may stop the backup.',
      );
};

/** The server stops taking writes about 3 million transactions before this. */
const wraparoundAge = 2 ** 31;
const wornShare = 0.75;

/** While a snapshot is held nothing can be frozen beyond it: a database close to its end must be vacuumed first. */
export const judgeWraparound = ({ frozenAge, multixactAge }: Pick<ServerFacts, 'frozenAge' | 'multixactAge'>): Finding => {
  const age = Math.max(frozenAge, multixactAge);
  const what = frozenAge >= multixactAge ? 'transactions' : 'multixacts';
  const measured = `${formatCount(wraparoundAge - age)} ${what} are left until wraparound`;
  return age < wraparoundAge * wornShare
    ? ok('wraparound', measured)
    : warn('wraparound', measured, 'Run VACUUM (FREEZE) first: the snapshot of a long backup keeps rows from being frozen.');
};

export const judgeStandby = ({
  isStandby,
  isFeedbackOn,
  standbyDelayMs,
}: Pick<ServerFacts, 'isStandby' | 'isFeedbackOn' | 'standbyDelayMs'>): Finding => {
  if (!isStandby) return ok('standby', 'the server is a primary');
  const delay = standbyDelayMs < 0 ? 'for ever' : formatDuration(standbyDelayMs);
  const measured = `the server is a standby: recovery waits for queries ${delay}, hot_standby_feedback is ${isFeedbackOn ? 'on' : 'off'}`;
  return isFeedbackOn || standbyDelayMs < 0
    ? ok('standby', measured)
    : warn(
        'standby',
        measured,
        'Set max_standby_streaming_delay = -1 or hot_standby_feedback = on: else recovery ends the backup’s sessions.',
      );
};
