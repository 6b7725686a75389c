import type { Emit } from '../core/context.js';
import { toDbbackupError } from '../core/errors.js';
import type { Event } from '../core/events.js';
import { formatDuration } from '../core/units.js';
import { type Journal, readJournal, reopenJournal } from '../manifest/journal.js';
import { freeReserve } from '../resume/reserve.js';
import type { LocalStorage } from '../storage/storage.js';
import { type BackupOptions, defaults } from './options.js';

export interface FailedRun {
  readonly id: string;
  readonly storage: LocalStorage;
  /** Closed afterwards. */
  readonly journal: Journal;
  readonly options: BackupOptions;
  readonly record: Emit;
  /** Its keepers stay, so that it can be continued. */
  readonly areKeepersLeft: boolean;
}

/**
 * Notes the failure in the journal. The failure is what the caller learns; a journal that cannot be written either is attached nowhere: the disk's error is the first.
 * Where the disk is full, the reserve makes room for it, after what was cut off of the journal's last line.
 */
export const noteFailure = async ({ id, storage, journal, options, record, areKeepersLeft }: FailedRun, cause: unknown): Promise<void> => {
  const { code, message, hint } = toDbbackupError(cause);
  if (areKeepersLeft && options.hasKeeper !== false) record({ type: 'notice', message: tellKeeper(id, options) });
  const isFull = code === 'disk_full';
  if (isFull) await freeReserve(storage, id).catch(() => undefined);
  const failed = record({ type: 'run.failed', code, message, ...(hint === undefined ? {} : { hint }) });
  try {
    await journal.close();
  } catch {
    if (isFull) await appendAnew(storage, id, failed).catch(() => undefined);
  }
};

/** To a journal whose last write failed. */
const appendAnew = async (storage: LocalStorage, id: string, event: Event): Promise<void> => {
  const content = await readJournal(storage, id);
  if (content === null) return;
  const journal = await reopenJournal(storage, id, content);
  await journal.append(event);
  await journal.close();
};

const tellKeeper = (id: string, { keeperTtlMs }: BackupOptions): string =>
  `the snapshot is kept for ${formatDuration(keeperTtlMs ?? defaults.keeperTtlMs)}: dbbackup resume ${id} goes on exactly there, dbbackup keeper stop ${id} gives it up`;

/** Failures after which another attempt may come further, under the same snapshot. Not where others wait for its locks: they would go on waiting. */
const continuableCodes: ReadonlySet<string> = new Set([
  'cancelled',
  'connection_lost',
  'connection_failed',
  'authentication_failed',
  'recovery_conflict',
  'server_error',
  'disk_full',
  'io_error',
  'not_writable',
  'timeout',
]);
export const isContinuable = (code: string): boolean => continuableCodes.has(code);
