import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CompressStream, DecompressStream } from 'zstd-napi';
import { DbbackupError } from '../core/errors.js';
import { publishFromStreams } from '../storage/durable-files.js';
import { backupNames, nameInBackup, snapshotStatePath } from '../storage/layout.js';
import type { LocalStorage } from '../storage/storage.js';
import { toStorageError } from '../storage/storage-error.js';
import { parseState, type SnapshotState, toLines } from './state-lines.js';

/** Writes what is known of a snapshot of a database, durably: before the first row is read under it. Memory: a relation at a time. */
export const storeSnapshotState = async (storage: LocalStorage, id: string, number: number, state: SnapshotState): Promise<void> => {
  await storage.createFolder(nameInBackup(id, backupNames.resumeFolder));
  const path = await storage.localPath(nameInBackup(id, snapshotStatePath(number, state.snapshot.number)));
  try {
    await publishFromStreams(path, [
      Readable.from(toBatches(toLines(state))),
      new CompressStream({ compressionLevel: 1, checksumFlag: true }),
    ]);
  } catch (error) {
    throw toStorageError(error, 'write', path);
  }
};

const batchLength = 64 * 1024;

/** Small lines one by one would cost a turn of the event loop each. */
function* toBatches(lines: Iterable<string>): Iterable<Buffer> {
  let batch = '';
  for (const line of lines) {
    batch += `${line}\n`;
    if (batch.length < batchLength) continue;
    yield Buffer.from(batch);
    batch = '';
  }
  if (batch !== '') yield Buffer.from(batch);
}

/** States of a database, oldest first. Errors: `manifest_damaged`. */
export const readSnapshotStates = async (storage: LocalStorage, id: string, number: number): Promise<readonly SnapshotState[]> => {
  const states: SnapshotState[] = [];
  const prefix = `${nameInBackup(id, snapshotStatePath(number, 1)).replace(/-s1\..*$/, '')}-s`;
  for (const { name } of await storage.list(nameInBackup(id, backupNames.resumeFolder))) {
    const snapshot = name.startsWith(prefix) ? Number(/-s(\d{1,6})\.ndjson\.zst$/.exec(name)?.[1] ?? 0) : 0;
    if (snapshot > 0) states.push(await readSnapshotState(storage, id, number, snapshot));
  }
  return states.sort((a, b) => a.snapshot.number - b.snapshot.number);
};

const readSnapshotState = async (storage: LocalStorage, id: string, number: number, snapshot: number): Promise<SnapshotState> => {
  const path = await storage.localPath(nameInBackup(id, snapshotStatePath(number, snapshot)));
  const source = createReadStream(path);
  const text = new DecompressStream();
  const reading = pipeline(source, text);
  try {
    const state = await parseState(createInterface({ input: text }));
    await reading;
    if (state.snapshot.number !== snapshot) throw new Error(`it is of snapshot ${state.snapshot.number}`);
    return state;
  } catch (error) {
    source.destroy();
    await reading.catch(() => undefined); // it failed because reading stopped, or is what stopped it
    throw new DbbackupError('manifest_damaged', `${snapshotStatePath(number, snapshot)} of run ${id} is not what was written`, {
      cause: error,
      details: { object: id, path },
    });
  }
};
