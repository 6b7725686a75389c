import { z } from 'zod';
import { DbbackupError } from '../core/errors.js';
import type { Event } from '../core/events.js';
import { backupNames, isSafePath, nameInBackup } from '../storage/layout.js';
import type { Appender, LocalStorage, Storage } from '../storage/storage.js';

/**
 * The Events of a run on disk: one JSON object a line, in the order of the calls, synced as they happen (`docs/format.md` section 7).
 * Events that are appended while a sync is running share the next one, so that many short tasks do not wait for the disk one by one.
 */
export class Journal {
  readonly #appender: Appender;
  #waiting: string[] = [];
  /** The write that will take what waits; null when none is due. */
  #next: Promise<void> | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(appender: Appender) {
    this.#appender = appender;
  }

  /**
   * Resolves when the Event is durable. `progress` Events are not facts about the run and are passed over.
   * After the first error nothing more is written: that error is what this call, every later one and `close` reject with. A caller may leave the promise
   * alone and learn of the error from `close`.
   */
  append(event: Event): Promise<void> {
    if (event.type === 'progress') return this.#next ?? this.#last;
    this.#waiting.push(`${JSON.stringify(event)}\n`);
    if (this.#next === null) {
      this.#next = this.#last.then(() => this.#writeWaiting());
      this.#next.catch(() => undefined); // close() reports it, whether or not somebody awaits this promise
    }
    return this.#next;
  }

  /** Waits for what was appended, then closes the file. Rejects with the first error there was. */
  async close(): Promise<void> {
    try {
      await (this.#next ?? this.#last);
    } finally {
      await this.#appender.close();
    }
  }

  async #writeWaiting(): Promise<void> {
    const lines = this.#waiting.join('');
    this.#waiting = [];
    const writing = this.#appender.append(Buffer.from(lines));
    this.#last = writing;
    this.#next = null;
    await writing;
  }
}

/** Starts the journal of a new run; the folder of its backup is created. Fails with `io_error` when a run of this ID has one already. */
export const createJournal = async (storage: LocalStorage, id: string): Promise<Journal> =>
  new Journal(await storage.openAppender(nameInBackup(id, backupNames.journal)));

/** Goes on with the journal of a run: a torn last line is cut off. Two processes must not do so at once. Fails with `io_error` when there is none. */
export const reopenJournal = async (
  storage: LocalStorage,
  id: string,
  { completeBytes }: Pick<JournalContent, 'completeBytes'>,
): Promise<Journal> => new Journal(await storage.reopenAppender(nameInBackup(id, backupNames.journal), completeBytes));

export interface JournalContent {
  readonly events: readonly Event[];
  /** Bytes of the complete lines; what follows them is a torn last line. */
  readonly completeBytes: number;
  readonly isTorn: boolean;
}

/** 500 bytes for each of four million Events. */
const maxJournalBytes = 2_000_000_000;

/** A run's journal. Null when it has none. Throws `manifest_damaged` for a line that is no Event; a last line without its end is ignored. */
export const readJournal = async (storage: Storage, id: string): Promise<JournalContent | null> => {
  const content = await storage.read(nameInBackup(id, backupNames.journal), maxJournalBytes);
  return content === null ? null : parseJournal(content);
};

const lineEnd = 0x0a;

/** See readJournal. */
export const parseJournal = (content: Buffer): JournalContent => {
  const events: Event[] = [];
  let begin = 0;
  for (let end = content.indexOf(lineEnd); end >= 0; end = content.indexOf(lineEnd, begin)) {
    events.push(parseEvent(content.toString('utf8', begin, end), events.length + 1));
    begin = end + 1;
  }
  return { events, completeBytes: begin, isTorn: begin < content.length };
};

const count = z.int().min(0);
const digest = z.string().regex(/^[0-9a-f]{32}$/);

/** The last moment a Date can hold. */
const maxTimeMs = 8.64e15;

/** What a fold relies on. Events of other types pass with any fields: later versions add some. */
const eventSchema = z.looseObject({ type: z.string(), atMs: z.number().min(0).max(maxTimeMs) });
const startedSchema = z.looseObject({ id: z.string(), database: z.string(), pid: count, host: z.string() });
const chunkSchema = z.looseObject({
  taskId: z.int().min(1),
  name: z.string(),
  rawBytes: count,
  storedBytes: count,
  rowCount: count,
  files: z
    .array(z.looseObject({ path: z.string().refine(isSafePath), sizeBytes: count, checksum: z.string().regex(/^[0-9a-f]+$/) }))
    .optional(),
  segments: z
    .array(
      z.looseObject({ source: count, file: z.int().min(-1), offset: count, storedBytes: count, rawBytes: count, rowCount: count, digest }),
    )
    .optional(),
});

const parseEvent = (line: string, lineNumber: number): Event => {
  try {
    const event = eventSchema.parse(JSON.parse(line));
    if (event.type === 'backup.started') startedSchema.parse(event);
    if (event.type === 'chunk.finished') chunkSchema.parse(event);
    // Only the types that are folded are checked field by field; a reader passes over the others.
    return event as unknown as Event;
  } catch (error) {
    throw new DbbackupError('manifest_damaged', `line ${lineNumber} of the journal is not an event`, { cause: error });
  }
};
