import { randomBytes } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { DbbackupError } from '../core/errors.js';
import {
  createDirectories,
  createFlags,
  directoryMode,
  moveWithoutOverwriting,
  nullIfMissing,
  readFully,
  removeDirectory,
  syncDirectory,
  toTakenError,
  writeNewFile,
} from './durable-files.js';
import { checkPath, isSafePath, temporarySuffix } from './layout.js';
import type { Appender, LocalStorage, ObjectStat, PublishOptions } from './storage.js';
import { errnoName, toStorageError } from './storage-error.js';

/**
 * A directory as a Storage. The directory need not exist: the first `publish` or `createFolder` creates it and what is missing above it.
 * Directories get mode 0700, files 0600 (0700 when executable). Links are followed on the way to `root`, never below it.
 */
export const openLocalStorage = (root: string): LocalStorage => new DirectoryStorage(resolve(root));

const fileMode = 0o600;
const executableMode = 0o700;
/** O_NONBLOCK: opening a pipe somebody left under an object's name must not wait for its writer. */
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

class DirectoryStorage implements LocalStorage {
  readonly location: string;
  readonly capabilities = { isLocal: true };

  constructor(root: string) {
    this.location = root;
  }

  async localPath(name: string): Promise<string> {
    checkPath(name);
    let path = this.location;
    for (const component of name.split('/')) {
      path = join(path, component);
      const stats = await nullIfMissing(lstat(path), 'read', path);
      if (stats?.isSymbolicLink() === true) throw toLinkError(path);
      if (stats === null) break;
    }
    return join(this.location, name);
  }

  async publish(name: string, content: string | Uint8Array, options: PublishOptions = {}): Promise<void> {
    const path = await this.localPath(name);
    await this.#createFolderOf(name);
    const temporary = `${path}.${randomBytes(6).toString('hex')}${temporarySuffix}`;
    try {
      await writeNewFile(temporary, content, options.isExecutable === true ? executableMode : fileMode);
      await moveWithoutOverwriting(temporary, path);
      await syncDirectory(dirname(path));
    } catch (error) {
      await unlink(temporary).catch(() => undefined); // the first error is the one to report; what is left is recognised as unpublished by its suffix
      throw toStorageError(error, 'write', path);
    }
  }

  async read(name: string, maxBytes: number): Promise<Buffer | null> {
    const path = await this.localPath(name);
    const file = await nullIfMissing(open(path, readFlags), 'read', path);
    if (file === null) return null;
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new DbbackupError('io_error', `${path} is not a regular file`, { details: { path } });
      if (stats.size > maxBytes) throw new DbbackupError('io_error', `${path} is larger than ${maxBytes} bytes`, { details: { path } });
      return await readFully(file, stats.size);
    } catch (error) {
      throw toStorageError(error, 'read', path);
    } finally {
      await file.close();
    }
  }

  async stat(name: string): Promise<ObjectStat | null> {
    const path = await this.localPath(name);
    const stats = await nullIfMissing(lstat(path), 'read', path);
    return stats?.isFile() === true ? { name, sizeBytes: stats.size, modifiedAtMs: stats.mtimeMs } : null;
  }

  async list(folder: string): Promise<readonly ObjectStat[]> {
    const objects: ObjectStat[] = [];
    for (const entry of await this.#entries(folder)) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (!isSafePath(entry.name) || entry.name.endsWith(temporarySuffix)) continue;
      if (entry.isDirectory()) {
        for (const object of await this.list(name)) objects.push(object);
      } else if (entry.isFile()) {
        const path = join(this.location, name);
        const stats = await nullIfMissing(lstat(path), 'read', path);
        if (stats?.isFile() === true) objects.push({ name, sizeBytes: stats.size, modifiedAtMs: stats.mtimeMs });
      }
    }
    return objects.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async listFolders(folder: string): Promise<readonly string[]> {
    const entries = await this.#entries(folder);
    return entries
      .filter((entry) => entry.isDirectory() && isSafePath(entry.name))
      .map((entry) => entry.name)
      .sort();
  }

  async isEmpty(): Promise<boolean> {
    const stats = await nullIfMissing(stat(this.location), 'read', this.location);
    if (stats?.isDirectory() === false) return false;
    // A fresh file system has lost+found; a run that died while it created the repository leaves an unpublished file.
    return (await this.#entries('')).every((entry) => entry.name === 'lost+found' || entry.name.endsWith(temporarySuffix));
  }

  async remove(name: string): Promise<void> {
    const folder = dirname(checkPath(name));
    const path = join(await this.#folderPath(folder === '.' ? '' : folder), basename(name));
    const removed = await nullIfMissing(
      unlink(path).then(() => true),
      'write',
      path,
    );
    if (removed === true) await syncDirectory(dirname(path));
  }

  async removeTree(folder: string): Promise<void> {
    const path = await this.localPath(folder);
    const stats = await nullIfMissing(lstat(path), 'read', path);
    if (stats === null) return;
    await removeDirectory(path);
    await syncDirectory(dirname(path));
  }

  async createFolder(folder: string): Promise<string> {
    const path = await this.localPath(folder);
    await createDirectories(this.location);
    let current = this.location;
    for (const component of folder.split('/')) {
      const parent = current;
      current = join(parent, component);
      const isNew = await mkdir(current, { mode: directoryMode }).then(
        () => true,
        (error: unknown) => {
          if (errnoName(error) === 'EEXIST') return false;
          throw toStorageError(error, 'write', current);
        },
      );
      if (isNew) await syncDirectory(parent);
    }
    return path;
  }

  async openAppender(name: string): Promise<Appender> {
    const path = await this.localPath(name);
    const folder = await this.#createFolderOf(name);
    const file = await open(path, createFlags | constants.O_APPEND, fileMode).catch((error: unknown) => {
      throw errnoName(error) === 'EEXIST' ? toTakenError(path, error) : toStorageError(error, 'write', path);
    });
    await syncDirectory(folder);
    return new FileAppender(file, path);
  }

  async reopenAppender(name: string, keptBytes: number): Promise<Appender> {
    const path = await this.localPath(name);
    try {
      const file = await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        if (!(await file.stat()).isFile()) throw new DbbackupError('io_error', `${path} is not a regular file`, { details: { path } });
        await file.truncate(keptBytes);
        await file.sync();
        return new FileAppender(file, path);
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      throw toStorageError(error, 'write', path);
    }
  }

  async removeAllBut(folder: string, kept: ReadonlySet<string>): Promise<void> {
    const path = await this.localPath(folder);
    for (const entry of await this.#entries(folder)) {
      if (entry.isDirectory() || kept.has(`${folder}/${entry.name}`)) continue;
      const found = join(path, entry.name);
      await nullIfMissing(unlink(found), 'write', found);
    }
    if ((await nullIfMissing(lstat(path), 'read', path)) !== null) await syncDirectory(path);
  }

  async #createFolderOf(name: string): Promise<string> {
    const folder = dirname(name);
    if (folder !== '.') return this.createFolder(folder);
    await createDirectories(this.location);
    return this.location;
  }

  /** `''` is the storage itself, which may be reached through links. */
  async #folderPath(folder: string): Promise<string> {
    return folder === '' ? this.location : this.localPath(folder);
  }

  async #entries(folder: string): Promise<readonly Dirent[]> {
    const path = await this.#folderPath(folder);
    return (await nullIfMissing(readdir(path, { withFileTypes: true }), 'read', path)) ?? [];
  }
}

class FileAppender implements Appender {
  readonly #file: FileHandle;
  readonly #path: string;

  constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.appendFile(bytes);
      await this.#file.datasync();
    } catch (error) {
      throw toStorageError(error, 'write', this.#path);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

const toLinkError = (path: string): DbbackupError =>
  new DbbackupError('path_unsafe', `${path} is a symbolic link`, {
    details: { path, hint: 'Links inside a repository are not followed.' },
  });
