import type { DbbackupError } from '../core/errors.js';

/** Why a task that failed may succeed when it is tried again. */
export type RetryClass = 'connection' | 'connection-limit' | 'conflict' | 'cancelled-statement' | 'lock-queue';

export interface RetryRule {
  /** A task that has failed so often in this way is not tried again. */
  readonly maxFailures: number;
  /** The wait after the first failure; it doubles with each further one. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
}

const seconds = 1000;

/** Each class with its patience. */
export const retryRules: Readonly<Record<RetryClass, RetryRule>> = {
  // About a minute in all: a proxy or network that restarts is back by then. A server that restarts has lost the snapshot, which is asked for before each try.
  connection: { maxFailures: 8, firstDelayMs: 0.5 * seconds, longestDelayMs: 30 * seconds },
  // Some minutes: others' connections end when their work is done.
  'connection-limit': { maxFailures: 12, firstDelayMs: seconds, longestDelayMs: 30 * seconds },
  // What was in the way of recovery, or of another session, is over after a moment, or comes again.
  conflict: { maxFailures: 4, firstDelayMs: 0.5 * seconds, longestDelayMs: 10 * seconds },
  // The new session has its time-outs off, so that a second time is somebody's will.
  'cancelled-statement': { maxFailures: 2, firstDelayMs: 0.5 * seconds, longestDelayMs: seconds },
  // Ended by the time that is allowed for it, not by a number.
  'lock-queue': { maxFailures: Number.POSITIVE_INFINITY, firstDelayMs: 0.25 * seconds, longestDelayMs: 5 * seconds },
};

/** A server that refuses a connection tells its SQLSTATE (53300) to libpq, which hands on the text alone. */
const limitPattern = /too many (?:clients|connections)|remaining connection slots/;

/**
 * The class of a task's error, null for one that comes again however often the task is tried. SQLSTATEs decide (manual, "PostgreSQL Error Codes"), codes where the
 * server was not heard: 53300 and its texts are a limit of connections; 40001 on a standby and 40P01 are conflicts; 57014 is a statement that was cancelled, by a time-out or an administrator; 55P03 is a
 * lock that somebody waits for; a connection that is lost or cannot be made covers 08xxx, 57P01, 57P02, 57P03.
 */
export const toRetryClass = ({ code, message, details: { sqlstate } }: DbbackupError): RetryClass | null => {
  if (sqlstate === '53300' || (code === 'connection_failed' && limitPattern.test(message))) return 'connection-limit';
  if (code === 'recovery_conflict' || sqlstate === '40P01') return 'conflict';
  if (sqlstate === '57014') return 'cancelled-statement';
  if (code === 'lock_not_available') return 'lock-queue';
  if (code === 'connection_lost' || code === 'connection_failed') return 'connection';
  return null;
};

/** How long to wait after the given number of failures, at least one: doubling, bounded, the second half of it at random so that tasks which failed together do not come back together. */
export const toDelayMs = ({ firstDelayMs, longestDelayMs }: RetryRule, failures: number, random: () => number): number => {
  const delayMs = Math.min(firstDelayMs * 2 ** (failures - 1), longestDelayMs);
  return Math.round(delayMs / 2 + (delayMs / 2) * random());
};
