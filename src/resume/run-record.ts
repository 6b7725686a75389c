import { z } from 'zod';
import { DbbackupError } from '../core/errors.js';
import { toStableText } from '../core/stable-text.js';
import { backupNames, nameInBackup } from '../storage/layout.js';
import type { Storage } from '../storage/storage.js';

const text = z.string();
const name = z.string().min(1);
const positive = z.int().min(1);

/** What a run is, so that another process can go on with it: `docs/format.md` section 7. */
const recordSchema = z.object({
  format: z.literal('dbbackup-run'),
  formatVersion: z.literal(1),
  /** When the run began. */
  startedAt: z.iso.datetime(),
  /** The version that wrote the snapshots' files, which another one need not understand. */
  toolVersion: text,
  kind: z.enum(['single', 'cluster']),
  title: text,
  server: z.object({ systemIdentifier: z.string().regex(/^[0-9]{0,20}$/), host: text, port: text }),
  /** Keyword string for libpq without secrets. */
  connection: text,
  databases: z.array(z.object({ number: positive, name, wave: positive })).min(1),
  /** Everything the options say about which data are saved and in which form; by name, so that a refusal can tell what differs. */
  options: z.record(z.string(), z.json()),
});

export type RunRecord = z.infer<typeof recordSchema>;
export type RunOptions = RunRecord['options'];

/** A name of at most 63 bytes a database, and what is typed on a command line. */
const maxRecordBytes = 64 * 1024 ** 2;

export const storeRunRecord = (storage: Storage, id: string, record: RunRecord): Promise<void> =>
  storage.publish(nameInBackup(id, backupNames.runRecord), `${JSON.stringify(record)}\n`);

/** Null where there is none: the run ended before it had one, or it has finished. Errors: `manifest_damaged`. */
export const readRunRecord = async (storage: Storage, id: string): Promise<RunRecord | null> => {
  const content = await storage.read(nameInBackup(id, backupNames.runRecord), maxRecordBytes);
  if (content === null) return null;
  try {
    return recordSchema.parse(JSON.parse(content.toString('utf8')));
  } catch (error) {
    throw new DbbackupError('manifest_damaged', `${backupNames.runRecord} of run ${id} is not what was written`, {
      cause: error,
      details: { object: id },
    });
  }
};

/** What differs between the run that is to be continued and what was asked for, for people: `format (auto, now text)`. Empty when nothing does. */
export const compareOptions = (before: RunOptions, now: RunOptions): readonly string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((key) => toStableText(before[key]) !== toStableText(now[key]))
    .map((key) => `${key} (${toStableText(before[key])}, now ${toStableText(now[key])})`);
