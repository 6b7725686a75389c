import type { LockWaiter } from '../catalog/activity.js';
import { DbbackupError } from '../core/errors.js';
import { formatDuration } from '../core/units.js';

/** What to do when another session waits for a lock that the backup holds. */
export type LockQueueMode = 'warn' | 'fail' | 'yield';

/** How long a task is put back for a relation that somebody waits for, where no other limit is set: an ALTER TABLE that waits for the backup never gets its turn while the backup waits for it. */
const defaultWaitMs = 5 * 60_000;

/** How many waiters are remembered as told. */
const maxTold = 1000;

export interface LockCourtesyParts {
  readonly mode: LockQueueMode;
  /** `--lock-wait-timeout`: 0 waits for ever, undefined five minutes. */
  readonly waitMs: number | undefined;
  readonly warn: (message: string) => void;
  readonly monotonicMs: () => number;
}

/**
 * Decides about sessions that wait for the backup's locks. PostgreSQL lets no reader past one that waits to exclude readers, so that one such session holds everybody up, the
 * backup's own workers included; and with the leader idle it sees no deadlock in that.
 */
export class LockCourtesy {
  readonly #parts: LockCourtesyParts;
  readonly #told = new Set<string>();
  /** When a task was first refused its lock. */
  readonly #refusedMs = new Map<number, number>();

  constructor(parts: LockCourtesyParts) {
    this.#parts = parts;
  }

  /** Takes notice of who waits now. Gives the error that the run is to end with, null where it goes on. `prefix` names the database where there are several. */
  notice(waiters: readonly LockWaiter[], prefix: string): DbbackupError | null {
    const { mode, warn } = this.#parts;
    const [first] = waiters;
    if (first === undefined) return null;
    if (mode === 'fail') return toError(`${prefix}${describe(first)}`, first.relation);
    if (mode === 'yield') return new DbbackupError('lock_yielded', `${prefix}${describe(first)}`, { details: { object: first.relation } });
    // Those that come and go for days must not fill the memory.
    if (this.#told.size > maxTold) this.#told.clear();
    for (const waiter of waiters) {
      const key = `${prefix}${waiter.relation} ${waiter.pid}`;
      if (this.#told.has(key)) continue;
      this.#told.add(key);
      warn(`${prefix}${describe(waiter)}; the relation is read last`);
    }
    return null;
  }

  /**
   * A worker was refused a lock because somebody waits for it. Gives the error that ends the run: at once where `notice` does, and once the task has waited as long as is allowed;
   * null where it is to be tried later.
   */
  refuse(taskId: number, waiters: readonly LockWaiter[], prefix: string, error: DbbackupError): DbbackupError | null {
    const end = this.notice(waiters, prefix);
    if (end !== null) return end;
    const { waitMs = defaultWaitMs, monotonicMs } = this.#parts;
    const nowMs = monotonicMs();
    const firstMs = this.#refusedMs.get(taskId) ?? nowMs;
    this.#refusedMs.set(taskId, firstMs);
    if (waitMs === 0 || nowMs - firstMs < waitMs) return null;
    const { object = '' } = error.details;
    const waiter = waiters.find(({ relation }) => object.startsWith(`${prefix}${relation}`)) ?? waiters[0];
    const what = waiter === undefined ? `${object} is locked by another session` : `${prefix}${describe(waiter)}`;
    return toError(`${what}, for longer than ${formatDuration(waitMs)}`, waiter?.relation ?? object);
  }
}

const describe = ({ relation, pid, description, holderPid }: LockWaiter): string =>
  `${relation}: server process ${pid}${description === '' ? '' : ` (${description})`} waits for the lock that server process ${holderPid} of this backup holds`;

const toError = (message: string, object: string): DbbackupError =>
  new DbbackupError('lock_not_available', message, { details: { object } });
