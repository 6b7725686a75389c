/**
 * Largest first, equal ones in the order given: the longest tasks must not start last, when nothing is left to run beside them
 * (R. L. Graham, Bounds on multiprocessing timing anomalies, 1969: at most 4/3 of the best schedule).
 */
export const largestFirst = <T extends { readonly estimatedRawBytes: number }>(items: readonly T[]): readonly T[] =>
  // Array.prototype.sort is stable.
  [...items].sort((a, b) => b.estimatedRawBytes - a.estimatedRawBytes);

/** Bounds of a group of small items that share a task. */
export interface PackLimits {
  readonly maxBytes: number;
  readonly maxCount: number;
}

/** Consecutive groups of items in the order given, each within the limits; an item above `maxBytes` stands alone. */
export const pack = <T extends { readonly estimatedRawBytes: number }>(
  items: readonly T[],
  limits: PackLimits,
): readonly (readonly T[])[] => {
  const groups: T[][] = [];
  let room = 0;
  let group: T[] = [];
  for (const item of items) {
    if (group.length === 0 || item.estimatedRawBytes > room || group.length >= limits.maxCount) {
      group = [];
      groups.push(group);
      room = limits.maxBytes;
    }
    group.push(item);
    room -= item.estimatedRawBytes;
  }
  return groups;
};
