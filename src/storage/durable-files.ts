/** File operations that are durable when they return, and never overwrite. Errors are DbbackupErrors that name the path. */
import { constants, createWriteStream } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DbbackupError } from '../core/errors.js';
import { temporarySuffix } from './layout.js';
import { errnoName, toStorageError } from './storage-error.js';

/** One of `pipeline`'s: a readable stream first, then streams that change what passes. */
export type StreamPart = NodeJS.ReadableStream | NodeJS.ReadWriteStream;

export const directoryMode = 0o700;
/** Never through a link, never over anything. */
export const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** What a file system without hard links answers to link(2). */
const linklessCodes = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);
const missingCodes = new Set(['ENOENT', 'ENOTDIR']);

export const toTakenError = (path: string, cause: unknown): DbbackupError =>
  new DbbackupError('io_error', `${path} exists already`, { cause, details: { path } });

/** What `result` gives, or null when there is no such file. */
export const nullIfMissing = async <T>(result: Promise<T>, action: 'read' | 'write', path: string): Promise<T | null> => {
  try {
    return await result;
  } catch (error) {
    if (missingCodes.has(errnoName(error))) return null;
    throw toStorageError(error, action, path);
  }
};

/** Creates a file and syncs it; its entry in the directory is the caller's to sync. */
export const writeNewFile = async (path: string, content: string | Uint8Array, mode: number): Promise<void> => {
  const file = await open(path, createFlags, mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
};

/** rename(2) would replace what is there, so link(2) publishes; where there are no hard links, a look before the rename must do. */
export const moveWithoutOverwriting = async (from: string, to: string): Promise<void> => {
  try {
    await link(from, to);
  } catch (error) {
    if (errnoName(error) === 'EEXIST') throw toTakenError(to, error);
    if (!linklessCodes.has(errnoName(error))) throw error;
    if ((await nullIfMissing(lstat(to), 'write', to)) !== null) throw toTakenError(to, error);
    await rename(from, to);
    return;
  }
  await unlink(from);
};

/**
 * Publishes what the streams make, the last of which is read: under a temporary name, synced, then under its own, which must be free. Nothing stays behind after an error.
 * Errors: the streams' own, and those of the file system.
 */
export const publishFromStreams = async (path: string, streams: readonly StreamPart[], signal?: AbortSignal): Promise<void> => {
  const temporaryPath = `${path}${temporarySuffix}`;
  try {
    // What a run that was killed has left there.
    await rm(temporaryPath, { force: true });
    const target = createWriteStream(temporaryPath, { flags: 'wx', mode: 0o600 });
    await pipeline([...streams, target], signal === undefined ? {} : { signal });
    const file = await open(temporaryPath);
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await moveWithoutOverwriting(temporaryPath, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(temporaryPath, { force: true });
    throw error;
  }
};

/** The first bytes of a file; fewer only when the file ends. */
export const readFully = async (file: FileHandle, lengthBytes: number): Promise<Buffer> => {
  const buffer = Buffer.alloc(lengthBytes);
  let filled = 0;
  while (filled < lengthBytes) {
    const { bytesRead } = await file.read(buffer, filled, lengthBytes - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
};

/** Creates a directory with all that is missing above it. */
export const createDirectories = async (root: string): Promise<void> => {
  try {
    await createDirectory(root);
  } catch (error) {
    throw toStorageError(error, 'write', root);
  }
};

/** Node's own recursive mkdir tells ENOENT where the file system is read-only. */
const createDirectory = async (path: string, isParentThere = false): Promise<void> => {
  try {
    await mkdir(path, { mode: directoryMode });
  } catch (error) {
    if (errnoName(error) === 'EEXIST') return;
    if (errnoName(error) !== 'ENOENT' || isParentThere) throw error;
    await createDirectory(dirname(path));
    return createDirectory(path, true);
  }
  // The entry of a new directory in its parent must be durable, too.
  await syncDirectory(dirname(path));
};

/** Makes the entries of a directory durable. */
export const syncDirectory = async (path: string): Promise<void> => {
  try {
    const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    // Some network file systems cannot sync a directory and say EINVAL; their server orders metadata itself.
    if (errnoName(error) !== 'EINVAL') throw toStorageError(error, 'write', path);
  }
};

/** Depth first; what is no directory, a link above all, is unlinked itself. */
export const removeDirectory = async (path: string): Promise<void> => {
  try {
    for (const entry of await readdir(path, { withFileTypes: true })) {
      const child = join(path, entry.name);
      await (entry.isDirectory() ? removeDirectory(child) : unlink(child));
    }
    await rmdir(path);
  } catch (error) {
    throw toStorageError(error, 'write', path);
  }
};
