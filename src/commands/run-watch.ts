import { readBackendState, readLockQueue } from '../catalog/activity.js';
import type { QuerySession } from '../catalog/rows.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import { formatDuration } from '../core/units.js';
import { judgeStall, StallTracker } from '../engine/stall.js';
import type { Engine } from '../native/engine.js';
import type { LockCourtesy } from './lock-courtesy.js';

const tickMs = 500;
/** A look at the locks takes the server some milliseconds, some hundred where thousands of relations are locked: at the most a hundredth of its time. */
const lockIntervalMs = 2000;
const lockShare = 100;

/** The longest a timer of this platform can wait: 24 days. */
const longestMs = 2 ** 31 - 1;

/** A leader whose snapshot is being read. */
export interface WatchedLeader {
  readonly session: QuerySession;
  /** What names its database in messages, empty where there is one alone. */
  readonly prefix: string;
  /** See Leader. */
  readonly checkSnapshot: () => Promise<void>;
}

export interface RunWatchParts {
  readonly engine: Pick<Engine, 'stats' | 'probe' | 'sever'>;
  /** Of one server. */
  readonly leaders: readonly WatchedLeader[];
  readonly courtesy: LockCourtesy;
  /** After which a task that does not get on is looked at; 0: never. */
  readonly stallMs: number;
  /** What is left of the time that is allowed; null: no limit. */
  readonly deadline: { readonly leftMs: number; readonly error: DbbackupError } | null;
  readonly nameOf: (taskId: number) => string;
  readonly tell: (message: string) => void;
  readonly monotonicMs: () => number;
}

/**
 * Watches over running tasks, see `ExecutorListener.watch`: ends the run when its time is up, when a leader's session is lost, or as `courtesy` decides about those who wait for its locks; and cuts the connection of a task
 * from which nothing comes and whose server process is not at work, so that it is tried again.
 */
export const createRunWatch =
  (parts: RunWatchParts) =>
  (fail: (error: DbbackupError) => void): (() => void) => {
    const { engine, leaders, courtesy, stallMs, deadline, nameOf, tell, monotonicMs } = parts;
    const tracker = new StallTracker(stallMs);
    let isOver = false;
    let nextLookMs = monotonicMs() + lockIntervalMs;

    const lookAtLocks = async (): Promise<void> => {
      const startedMs = monotonicMs();
      if (startedMs < nextLookMs) return;
      for (const { session, prefix } of leaders) {
        const error = courtesy.notice(await readLockQueue(session), prefix);
        if (error !== null) fail(error);
      }
      nextLookMs = monotonicMs() + Math.max(lockIntervalMs, (monotonicMs() - startedMs) * lockShare);
    };

    const lookAtStalls = async (): Promise<void> => {
      const [leader] = leaders;
      if (stallMs === 0 || leader === undefined) return;
      for (const taskId of tracker.update(engine.stats().workers, monotonicMs())) {
        const pid = engine.probe(taskId)?.backendPid ?? 0;
        // Still connecting: that has a limit of its own.
        if (pid === 0) continue;
        const backend = await readBackendState(leader.session, pid);
        // Asked again: it may have got on meanwhile.
        const probe = engine.probe(taskId);
        if (probe === null || probe.backendPid !== pid) continue;
        const reason = judgeStall(backend, probe.unreadBytes);
        if (reason === null) continue;
        tell(`${nameOf(taskId)}: no progress for ${formatDuration(stallMs)}, ${reason}; its connection is cut`);
        engine.sever(taskId);
      }
    };

    /** Where a session is lost, what that means for its snapshot. */
    const explain = async (error: DbbackupError): Promise<DbbackupError> => {
      if (error.code !== 'connection_lost') return error;
      const outcomes = await Promise.allSettled(leaders.map(({ checkSnapshot }) => checkSnapshot()));
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      return failed === undefined ? error : toDbbackupError(failed.reason);
    };

    const look = async (): Promise<void> => {
      try {
        await lookAtLocks();
        await lookAtStalls();
      } catch (cause) {
        const error = await explain(toDbbackupError(cause));
        // Whoever cancels the run tells the engine himself.
        if (!isOver && error.code !== 'cancelled') fail(error);
      }
    };

    let timer = setTimeout(function tick() {
      void look().then(() => {
        if (!isOver) timer = setTimeout(tick, tickMs);
      });
    }, tickMs);
    const end = deadline === null ? undefined : setTimeout(() => fail(deadline.error), Math.min(longestMs, Math.max(0, deadline.leftMs)));
    return () => {
      isOver = true;
      clearTimeout(timer);
      clearTimeout(end);
    };
  };

const leastDefaultMs = 2 * 3_600_000;
/** The estimate of a time: what a server and a disk that disappoint do. */
const estimatedBytesPerSecond = 20 * 1024 ** 2;

/** How long a database may take: what the user says, 0 for no limit; else the larger of two hours and three times the estimate. */
export const toTimeLimitMs = (
  timeoutMs: number | undefined,
  estimatedRawBytes: number,
  maxBytesPerSecond = estimatedBytesPerSecond,
): number => {
  const bytesPerSecond = Math.min(estimatedBytesPerSecond, maxBytesPerSecond);
  return timeoutMs ?? Math.min(longestMs, Math.max(leastDefaultMs, Math.ceil((3000 * estimatedRawBytes) / bytesPerSecond)));
};

export const toTimeoutError = (names: readonly string[], limitMs: number): DbbackupError =>
  new DbbackupError(
    'timeout',
    names.length === 1
      ? `database ${names[0]} was not saved within ${formatDuration(limitMs)}`
      : `${names.length} databases were not saved within ${formatDuration(limitMs)}`,
    { details: { hint: 'Allow more time with --timeout, or 0 for no limit.' } },
  );
