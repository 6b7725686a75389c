import { DbbackupError } from '../core/errors.js';

/** Bytes of one block of the native pool: `docs/format.md` section 4 and native/memory/block_pool.h. */
export const blockBytes = (1024 + 64) * 1024;

/** What a run needs besides the pool, above the baseline: the JavaScript heap's growth, and for each worker libpq's buffers, compression contexts and thread stacks. */
const heapReserveBytes = 24 * 1024 ** 2;
const workerReserveBytes = 2 * 1024 ** 2;

/** A worker deadlocks with fewer than 4 blocks and gains nothing measurable from more than 12: reading, compressing and writing overlap by then. */
const minBlocksPerWorker = 4;
const maxBlocksPerWorker = 12;

/** Resident memory of the process that a run stays below when the user sets no limit. */
export const defaultMemoryLimitBytes = 144 * 1024 ** 2;

/**
 * Blocks for each worker so that the process stays below its limit: the pool is the limit minus the measured baseline and reserves.
 * `limitBytes` undefined means the default limit, which gives way where it leaves too little; a limit set by the user does not.
 * Errors: `memory_limit_too_small`.
 */
export const toBlocksPerWorker = (jobs: number, baselineBytes: number, limitBytes: number | undefined): number => {
  const limit = limitBytes ?? defaultMemoryLimitBytes;
  const poolBytes = limit - baselineBytes - heapReserveBytes - jobs * workerReserveBytes;
  const blocks = Math.floor(poolBytes / (jobs * blockBytes));
  if (blocks >= minBlocksPerWorker) return Math.min(blocks, maxBlocksPerWorker);
  if (limitBytes === undefined) return minBlocksPerWorker;
  const leastBytes = limit - poolBytes + jobs * minBlocksPerWorker * blockBytes;
  throw new DbbackupError('memory_limit_too_small', `a memory limit of ${toMiB(limit)} MB leaves no room for ${jobs} jobs`, {
    details: { hint: `Use --memory-limit ${toMiB(leastBytes) + 1}MB or more, or fewer --jobs.` },
  });
};

const toMiB = (bytes: number): number => Math.ceil(bytes / 1024 ** 2);
