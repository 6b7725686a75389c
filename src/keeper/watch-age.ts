import type { Keeper } from './keeper.js';
import { toXminAge } from './xmin-age.js';

export interface AgeWatch {
  readonly keeper: Keeper;
  /** Called once, when the snapshot has grown older than the limit. */
  readonly onOld: (age: number) => void;
}

/** autovacuum_freeze_max_age's default: from here on the server vacuums tables by force, in vain as long as the snapshot is held. */
const defaultLimit = 200_000_000;
/** A keeper reads it no more often than that. */
const defaultIntervalMs = 30_000;

/** Runs `use` and meanwhile asks the keepers how many transactions have begun since their snapshots. A keeper that has ended is the leader's business. */
export const withAgeWatch = async <T>(
  watches: readonly AgeWatch[],
  use: () => Promise<T>,
  { limit = defaultLimit, intervalMs = defaultIntervalMs } = {},
): Promise<T> => {
  const told = new Set<AgeWatch>();
  const look = async (watch: AgeWatch): Promise<void> => {
    const age = toXminAge(await watch.keeper.readState());
    if (age === null || age <= limit || told.has(watch)) return;
    told.add(watch);
    watch.onOld(age);
  };
  const timer = setInterval(() => {
    // One that cannot be asked has ended, which the leader's next check tells.
    for (const watch of watches) look(watch).catch(() => undefined);
  }, intervalMs);
  timer.unref();
  try {
    return await use();
  } finally {
    clearInterval(timer);
  }
};
