import { afterFailure } from './after-failure.js';
import type { Catalog } from './model.js';

export interface SnapshotOptions {
  /** How long to wait for locks in all, per statement; 0 waits for ever, as pg_dump does. Default: 0. */
  readonly lockTimeoutMs?: number;
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
  /** Proves that the transaction still stands; `snapshot_invalid` when it does not. */
  checkSnapshot(): Promise<void>;
  /** Ends the transaction. Does nothing when none is open. */
  releaseSnapshot(): Promise<void>;
}

/** Runs `use` with a snapshot that is released when it settles. Errors: those of `takeSnapshot` and of `use`. */
export const withSnapshot = async <T>(leader: Leader, options: SnapshotOptions, use: (held: HeldSnapshot) => Promise<T>): Promise<T> => {
  const held = await leader.takeSnapshot(options);
  let result: T;
  try {
    result = await use(held);
  } catch (error) {
    throw await afterFailure(error, () => leader.releaseSnapshot());
  }
  await leader.releaseSnapshot();
  return result;
};
