/** Whether a backup will have room, and how much it lacks. Pure. */
import type { Estimate } from '../core/estimates.js';
import { type Finding, fail, ok, warn } from '../core/findings.js';
import { formatBytes } from '../core/units.js';

/** `1.2 GB ± 80 MB`. */
export const formatEstimate = ({ value, error }: Estimate): string => `${formatBytes(value)} ± ${formatBytes(error)}`;

/** Free space beside an estimate of what will be stored that rests on samples. */
export const judgeDisk = (freeBytes: number | null, stored: Estimate, place: string): Finding => {
  if (freeBytes === null)
    return warn('disk', `the free space of ${place} is not known; about ${formatEstimate(stored)} will be stored`, 'Look with df.');
  const measured = `${formatBytes(freeBytes)} are free in ${place}, about ${formatEstimate(stored)} will be stored`;
  const lacking = stored.value + stored.error - freeBytes;
  const remedy = `Free ${formatBytes(Math.max(lacking, 1))} there, choose another --output-dir, or compress more.`;
  if (freeBytes < stored.value - stored.error) return fail('disk', measured, remedy);
  return lacking > 0 ? warn('disk', measured, remedy) : ok('disk', measured);
};

/** No database compresses better than this as a whole, and what is stored as it is may be half of what bloated tables take on the server's disk. */
const mostRatio = 30;
const mostBloat = 2;

/**
 * Free space beside sizes of tables alone, before a run: `fail` where even the best compression could not make it fit, else `warn` where it is less than all rows.
 * Null where there is plenty.
 */
export const judgeDiskBySizes = (
  freeBytes: number | null,
  estimatedRawBytes: number,
  isCompressing: boolean,
  place: string,
): Finding | null => {
  if (freeBytes === null || freeBytes >= estimatedRawBytes) return null;
  const measured = `${formatBytes(freeBytes)} are free in ${place}, the tables take ${formatBytes(estimatedRawBytes)} before compression`;
  const least = estimatedRawBytes / (isCompressing ? mostRatio : mostBloat);
  return freeBytes < least
    ? fail('disk', measured, `Free at least ${formatBytes(least - freeBytes)} there or choose another --output-dir.`)
    : warn('disk', measured, 'dbbackup estimate tells how much will be stored.');
};

/** What a run that has no space left has done so far. */
export interface DiskUse {
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly estimatedRawBytes: number;
}

/** About how many more bytes the run would have stored, judging by what it has stored so far; null before its first file is complete. */
export const estimateMissingBytes = ({ rawBytes, storedBytes, estimatedRawBytes }: DiskUse): number | null => {
  if (rawBytes === 0 || storedBytes === 0) return null;
  return Math.ceil(Math.max(0, estimatedRawBytes - rawBytes) * (storedBytes / rawBytes));
};
