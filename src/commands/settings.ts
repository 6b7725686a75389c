import { availableParallelism } from 'node:os';
import { DbbackupError } from '../core/errors.js';
import { isEverything, toSelection } from '../core/selection.js';
import { toBlocksPerWorker } from '../engine/memory-budget.js';
import { type Engine, openEngine } from '../native/engine.js';
import { measureMemory } from '../native/host.js';
import { type BackupOptions, defaults, toCompression, toDefaultJobs } from './options.js';

const maxJobs = 64;
const minChunkBytes = 1024 ** 2;
const maxLevels = { zstd: 22, gzip: 12, lz4: 0, none: 0 } as const;

/** The number of jobs to run; `usage` when it is out of range. */
export const toJobs = (jobs: number | undefined): number => {
  const chosen = jobs ?? toDefaultJobs(availableParallelism());
  if (!Number.isInteger(chosen) || chosen < 1 || chosen > maxJobs)
    throw new DbbackupError('usage', `jobs must be a number from 1 to ${maxJobs}`);
  return chosen;
};

/** A backup's options with the defaults filled in; `usage` for one that is out of range. */
export const toBackupSettings = (options: BackupOptions) => {
  const { codec, level } = toCompression(options);
  const least = codec === 'zstd' || codec === 'gzip' ? 1 : 0;
  if (!Number.isInteger(level) || level < least || level > maxLevels[codec])
    throw new DbbackupError('usage', `${codec} has no level ${level}`);
  const chunkSizeBytes = options.chunkSizeBytes ?? defaults.chunkSizeBytes;
  if (!Number.isSafeInteger(chunkSizeBytes) || chunkSizeBytes < minChunkBytes)
    throw new DbbackupError('usage', 'the chunk size must be 1 MB or more');
  const selection = toSelection(options.selection ?? {});
  const isUnloggedDataLeftOut = options.isUnloggedDataLeftOut === true;
  const hasLargeObjects = options.hasLargeObjects ?? null;
  if (hasLargeObjects === true && !selection.sections.includes('data'))
    throw new DbbackupError('usage', 'large objects are rows: they cannot be saved where only definitions are');
  const isWhole = isEverything(selection) && !isUnloggedDataLeftOut && hasLargeObjects !== false;
  return {
    jobs: toJobs(options.jobs),
    selection,
    /** Undefined: everything. */
    scope: isWhole ? undefined : { selection, isUnloggedDataLeftOut, hasLargeObjects },
    codec,
    level,
    compressionName: least === 0 ? codec : `${codec}:${level}`,
    chunkSizeBytes,
    format: options.format ?? defaults.format,
    checksum: options.checksum ?? defaults.checksum,
  };
};

export interface EngineSettings {
  readonly jobs: number;
  readonly memoryLimitBytes?: number | undefined;
  /** Default: no limit. */
  readonly maxBytesPerSecond?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Runs `use` with an engine of `jobs` workers whose memory stays below the limit, and closes it. */
export const withEngine = async <T>(
  { jobs, memoryLimitBytes, maxBytesPerSecond = 0, signal }: EngineSettings,
  use: (engine: Engine) => Promise<T>,
): Promise<T> => {
  const blocksPerWorker = toBlocksPerWorker(jobs, measureMemory().rssBytes, memoryLimitBytes);
  const engine = openEngine(
    { workerCount: jobs, encoderCount: Math.min(availableParallelism(), jobs * 2), blocksPerWorker, maxBytesPerSecond },
    { signal },
  );
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
};

/** Raw bytes per second of wall time. */
export const toBytesPerSecond = (rawBytes: number, elapsedMs: number): number => Math.round((rawBytes * 1000) / Math.max(1, elapsedMs));
