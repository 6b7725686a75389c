import { DbbackupError } from '../core/errors.js';
import type { Event } from '../core/events.js';
import type { ChecksumName } from '../core/results.js';
import type { Manifest } from '../manifest/schema.js';
import { hashFile } from '../native/hash-file.js';
import { backupNames, nameInBackup, readAttempt } from '../storage/layout.js';
import type { LocalStorage } from '../storage/storage.js';

export type ChunkFinished = Extract<Event, { readonly type: 'chunk.finished' }>;

/** The last report on each task that finished. Of a run's journal. */
export const foldFinished = (events: readonly Event[]): ReadonlyMap<number, ChunkFinished> => {
  const finished = new Map<number, ChunkFinished>();
  for (const event of events) if (event.type === 'chunk.finished' && event.files !== undefined) finished.set(event.taskId, event);
  return finished;
};

export interface CheckedTasks {
  /** Tasks whose files are what was written, by ID. */
  readonly sound: ReadonlyMap<number, ChunkFinished>;
  /** What is wrong with the files of others, for people. */
  readonly damage: readonly string[];
}

/**
 * Compares size and checksum of the files of finished tasks, `jobs` files at a time. Errors: those of reading, `path_unsafe`, `cancelled`. Cost: reading all of them once.
 */
export const checkFinished = async (
  storage: LocalStorage,
  id: string,
  finished: ReadonlyMap<number, ChunkFinished>,
  options: { readonly checksum: ChecksumName; readonly jobs: number; readonly signal: AbortSignal | undefined },
): Promise<CheckedTasks> => {
  const sound = new Map(finished);
  const damage: string[] = [];
  const queue = [...finished.values()].values();
  const runLane = async (): Promise<void> => {
    for (const { taskId, name, files = [] } of queue) {
      const problem = await findProblem(storage, id, files, options);
      if (problem === null) continue;
      sound.delete(taskId);
      damage.push(`${name} is read again: ${problem}`);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, runLane));
  return { sound, damage };
};

const findProblem = async (
  storage: LocalStorage,
  id: string,
  files: NonNullable<ChunkFinished['files']>,
  { checksum, signal }: { readonly checksum: ChecksumName; readonly signal: AbortSignal | undefined },
): Promise<string | null> => {
  for (const file of files) {
    const name = nameInBackup(id, `${backupNames.dataFolder}/${file.path}`);
    const stat = await storage.stat(name);
    if (stat === null) return `data file ${file.path} is missing`;
    if (stat.sizeBytes !== file.sizeBytes) return `data file ${file.path} has ${stat.sizeBytes} bytes instead of ${file.sizeBytes}`;
    if ((await hashFile(await storage.localPath(name), checksum, { signal })) !== file.checksum)
      return `data file ${file.path} is not what was written`;
  }
  return null;
};

/** The highest attempt that any data file of the run has been written in, whether it is there, in the journal, or unfinished. */
export const findLastAttempt = async (storage: LocalStorage, id: string, finished: Iterable<ChunkFinished>): Promise<number> => {
  const journalled = [...finished].flatMap(({ files = [] }) => files.map(({ path }) => path));
  const stored = (await storage.list(nameInBackup(id, backupNames.dataFolder))).map(({ name }) => name);
  return [...journalled, ...stored].reduce((highest, path) => Math.max(highest, readAttempt(path)), 1);
};

/**
 * Removes data files that belong to none of the tasks, unpublished ones as well, and what was written for an end that did not come. `archives`: paths of those that stay.
 */
export const removeLeftovers = async (
  storage: LocalStorage,
  id: string,
  tasks: Iterable<ChunkFinished>,
  archives: ReadonlySet<string>,
): Promise<void> => {
  const kept = new Set(
    [...tasks].flatMap(({ files = [] }) => files.map(({ path }) => nameInBackup(id, `${backupNames.dataFolder}/${path}`))),
  );
  await storage.removeAllBut(nameInBackup(id, backupNames.dataFolder), kept);
  const keptArchives = new Set([...archives].map((path) => nameInBackup(id, path)));
  for (const folder of [backupNames.schemaFolder, backupNames.globalsFolder])
    await storage.removeAllBut(nameInBackup(id, folder), keptArchives);
  await storage.removeTree(nameInBackup(id, backupNames.restoreFolder));
  await storage.remove(nameInBackup(id, backupNames.restoreScript));
  await storage.remove(nameInBackup(id, backupNames.manifestChecksum));
};

/** Removes what a run that was continued has not put into its manifest: data files of rows that were read again, and definitions of snapshots before the last. */
export const removeUnused = async (storage: LocalStorage, { id, files, databases, globals }: Manifest): Promise<void> => {
  await storage.removeAllBut(nameInBackup(id, backupNames.dataFolder), new Set(files.map(({ path }) => nameInBackup(id, path))));
  const archives = new Set([...databases.map(({ schema }) => schema.path), ...(globals === null ? [] : [globals.path])]);
  await storage.removeAllBut(nameInBackup(id, backupNames.schemaFolder), new Set([...archives].map((path) => nameInBackup(id, path))));
};

/** The highest number of a task that the journal names, finished or not. */
export const findLastTaskId = (events: readonly Event[]): number =>
  events.reduce((highest, event) => ('taskId' in event ? Math.max(highest, event.taskId) : highest), 0);

/** Whether a journal tells that its run began. */
export const hasBegun = ([first]: readonly Event[]): boolean => first?.type === 'backup.started';

/** When the run began, milliseconds since 1970. Errors: `manifest_damaged` for a journal that does not say. */
export const readStart = (id: string, events: readonly Event[]): number => {
  const [first] = events;
  if (first?.type !== 'backup.started')
    throw new DbbackupError('manifest_damaged', `the journal of run ${id} does not begin with its start`, { details: { object: id } });
  return first.atMs;
};
