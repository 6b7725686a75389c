import { DbbackupError } from '../core/errors.js';
import { afterFailure } from './after-failure.js';
import type { Catalog } from './model.js';
import type { ScopeOptions } from './scope.js';

export interface SnapshotOptions {
  /** How long to wait for locks in all, per statement; 0 waits for ever, as pg_dump does. Default: 0. */
  readonly lockTimeoutMs?: number;
  /** Awaited once all relations are locked, before the snapshot is fixed: where several leaders wait for each other. Default: nothing is waited for. */
  readonly whenLocked?: () => Promise<void>;
  /** Default: everything. */
  readonly scope?: ScopeOptions;
}

/** An exported snapshot and what it sees. Valid until the leader that took it lets go. */
export interface HeldSnapshot {
  /** For `SET TRANSACTION SNAPSHOT`. */
  readonly snapshot: string;
  /** WAL position right after the snapshot: `pg_current_wal_lsn`, on a standby `pg_last_wal_replay_lsn`. */
  readonly lsn: string;
  /** ISO 8601, UTC, by the server's clock. */
  readonly takenAt: string;
  readonly catalog: Catalog;
  /** When the leader's transaction began, by the server's clock: no other of the same session has it. */
  readonly transactionStart: string;
  /** Proves in another session, right after it has imported the snapshot, that the snapshot is this one. */
  readonly guard: SnapshotGuard;
}

/**
 * A query of one value and what it must give. The name of a snapshot alone proves nothing: after a restart of the server another session may export the identical one.
 */
export interface SnapshotGuard {
  readonly sql: string;
  readonly expected: string;
}

/**
 * Holds the one transaction that exports the snapshot and has every ACCESS SHARE lock; both live and die with it.
 *
 * Guarantees, while a snapshot is held: every relation of its Catalog is locked in ACCESS SHARE mode under the name in the Catalog, has the file that the snapshot
 * sees, and can be read in full by this role. So no TRUNCATE, CLUSTER, rewriting ALTER TABLE, DROP or RENAME has come between, nor can one until it is let go.
 */
export interface Leader {
  /**
   * Takes the snapshot; at most one at a time. Errors: `permission_denied` naming the relations, `lock_not_available` when the time for locks has passed,
   * `relation_changed` when DDL came between at every one of five tries. Nothing is held after an error.
   */
  takeSnapshot(options?: SnapshotOptions): Promise<HeldSnapshot>;
  /**
   * Goes on with a snapshot that the session holds already, taken by a leader of a process that has ended. Errors: `snapshot_invalid` when the session's transaction
   * is not the one that took it, `manifest_damaged` when a condition in its catalog is not the server's.
   */
  adoptSnapshot(known: Omit<HeldSnapshot, 'guard'>): Promise<HeldSnapshot>;
  /** Proves that the transaction still stands; `snapshot_invalid` when it does not. */
  checkSnapshot(): Promise<void>;
  /** Ends the transaction. Does nothing when none is open. */
  releaseSnapshot(): Promise<void>;
}

/** Runs `use` with a snapshot that is released when it settles. Errors: those of `takeSnapshot` and of `use`. */
export const withSnapshot = <T>(leader: Leader, options: SnapshotOptions, use: (held: HeldSnapshot) => Promise<T>): Promise<T> =>
  withSnapshots([leader], options, ([held]) => {
    if (held === undefined) throw new DbbackupError('internal', 'the leader gave no snapshot');
    return use(held);
  });

/**
 * Runs `use` with one snapshot of each leader, in the leaders' order; all are released when it settles. They are taken as close together as can be: none before all
 * leaders hold their locks. Errors: those of `takeSnapshot` and of `use`.
 */
export const withSnapshots = async <T>(
  leaders: readonly Leader[],
  options: SnapshotOptions,
  use: (held: readonly HeldSnapshot[]) => Promise<T>,
): Promise<T> => {
  const releaseAll = async (): Promise<void> => {
    const outcomes = await Promise.allSettled(leaders.map((leader) => leader.releaseSnapshot()));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };
  let result: T;
  try {
    result = await use(await takeAll(leaders, options));
  } catch (error) {
    throw await afterFailure(error, releaseAll);
  }
  await releaseAll();
  return result;
};

const takeAll = async (leaders: readonly Leader[], options: SnapshotOptions): Promise<readonly HeldSnapshot[]> => {
  const gate = createGate(leaders.length);
  const outcomes = await Promise.allSettled(
    leaders.map(async (leader) => {
      try {
        return await leader.takeSnapshot({ ...options, whenLocked: gate.pass });
      } catch (error) {
        gate.close(error);
        throw error;
      }
    }),
  );
  // The first one that failed closed the gate for the others.
  if (gate.failure() !== null) throw gate.failure();
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
};

/** Lets everyone pass once `count` have come. Who comes again finds it open. */
const createGate = (count: number) => {
  let failure: unknown = null;
  let missing = count;
  let settle: { readonly open: () => void; readonly close: (error: unknown) => void } | null = null;
  const opened = new Promise<void>((open, close) => {
    settle = { open, close };
  });
  // Nobody may be waiting yet.
  opened.catch(() => undefined);
  return {
    pass: (): Promise<void> => {
      missing -= 1;
      if (missing === 0) settle?.open();
      return opened;
    },
    close: (error: unknown): void => {
      failure ??= error;
      settle?.close(error);
    },
    failure: (): unknown => failure,
  };
};
