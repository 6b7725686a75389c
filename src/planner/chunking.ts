/** Block arithmetic. A relation has at most 2^32-1 blocks, so all sums and products here stay below 2^53. */

/** A range of blocks; `end: null` is open: rows beyond the size the planner saw belong to it. */
export interface BlockRange {
  readonly begin: number;
  readonly end: number | null;
}

/** Blocks a fork of this size has; a torn last block counts. */
export const countBlocks = (sizeBytes: number, blockSizeBytes: number): number => Math.ceil(sizeBytes / blockSizeBytes);

/** How many ranges of about `targetBytes` a relation falls into: at least one, at most one for each block. */
export const countRanges = (blockCount: number, estimatedBytes: number, targetBytes: number): number =>
  Math.max(1, Math.min(blockCount, Math.ceil(estimatedBytes / Math.max(1, targetBytes))));

/**
 * `rangeCount` consecutive ranges that hold every block from 0 to infinity exactly once, of equal length but for one block; the longer ones come first.
 * `rangeCount` is at most `blockCount` or 1.
 */
export const splitBlocks = (blockCount: number, rangeCount: number): readonly BlockRange[] => {
  // Quotient and remainder instead of i * blockCount / rangeCount, whose product passes 2^53.
  const length = Math.floor(blockCount / rangeCount);
  const longer = blockCount % rangeCount;
  const beginOf = (index: number): number => index * length + Math.min(index, longer);
  return Array.from({ length: rangeCount }, (_, index) => ({
    begin: beginOf(index),
    end: index === rangeCount - 1 ? null : beginOf(index + 1),
  }));
};
