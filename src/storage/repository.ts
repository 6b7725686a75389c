import { DbbackupError } from '../core/errors.js';
import { backupNames, checkBackupId, isBackupId, nameInBackup, repositoryMarker } from './layout.js';
import type { Storage } from './storage.js';

const format = 'dbbackup-repository';
const formatVersion = 1;
const maxMarkerBytes = 4096;

export interface RepositoryEntry {
  readonly id: string;
  /** The manifest is there. Otherwise a run has not finished: it is still going on, or it was cut off. */
  readonly isFinished: boolean;
  /** When the manifest, or the last Event of the journal, was written; milliseconds since 1970, UTC. */
  readonly modifiedAtMs: number;
}

/** A Storage laid out by `docs/format.md`: what backups are in it. What is in a backup is the manifest's business. */
export class Repository {
  readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }

  /** Finished backups and unfinished runs, by ID. Cost: two file stats a backup, whatever its size. Folders that are neither are passed over. */
  async list(): Promise<readonly RepositoryEntry[]> {
    const entries: RepositoryEntry[] = [];
    for (const folder of await this.storage.listFolders('')) {
      const entry = isBackupId(folder) ? await this.#readEntry(folder).catch(toUnsafeEntry(folder)) : null;
      if (entry !== null) entries.push(entry);
    }
    return entries;
  }

  /** One backup or unfinished run. Throws `backup_not_found`. */
  async find(id: string): Promise<RepositoryEntry> {
    const entry = await this.#readEntry(checkBackupId(id));
    if (entry === null) throw toNotFound(id, this.storage);
    return entry;
  }

  /** One finished backup. Throws `backup_not_found` or `backup_unfinished`. */
  async findFinished(id: string): Promise<RepositoryEntry> {
    const entry = await this.find(id);
    if (!entry.isFinished)
      throw new DbbackupError('backup_unfinished', `backup ${id} has no manifest: its run did not finish`, { details: { object: id } });
    return entry;
  }

  /**
   * Deletes a backup or an unfinished run for good. The manifest goes first, so that the backup stops to exist at once, and the journal last, so that
   * what is left by a delete that was cut off is an unfinished run and can be deleted again. Throws `backup_not_found`, and for links `path_unsafe`.
   */
  async delete(id: string): Promise<RepositoryEntry> {
    const entry = await this.find(id);
    await this.storage.remove(nameInBackup(id, backupNames.manifest));
    for (const folder of await this.storage.listFolders(id)) await this.storage.removeTree(nameInBackup(id, folder));
    for (const object of await this.storage.list(id)) {
      if (object.name !== nameInBackup(id, backupNames.journal)) await this.storage.remove(object.name);
    }
    await this.storage.removeTree(id);
    return entry;
  }

  async #readEntry(id: string): Promise<RepositoryEntry | null> {
    const manifest = await this.storage.stat(nameInBackup(id, backupNames.manifest));
    const found = manifest ?? (await this.storage.stat(nameInBackup(id, backupNames.journal)));
    return found === null ? null : { id, isFinished: manifest !== null, modifiedAtMs: found.modifiedAtMs };
  }
}

/** One backup with a link in the place of its manifest must not hide all others: it is listed, and reading it says what is wrong. */
const toUnsafeEntry =
  (id: string) =>
  (error: unknown): RepositoryEntry => {
    if (error instanceof DbbackupError && error.code === 'path_unsafe') return { id, isFinished: true, modifiedAtMs: 0 };
    throw error;
  };

/** The repository in `storage`. Throws `repository_not_found` where there is nothing, `not_a_repository` where there is something else, `format_unsupported`. */
export const openRepository = async (storage: Storage): Promise<Repository> => {
  if (await hasMarker(storage)) return new Repository(storage);
  if (await storage.isEmpty())
    throw new DbbackupError('repository_not_found', `there is no repository in ${storage.location}`, {
      details: { path: storage.location },
    });
  throw toNotRepository(storage);
};

/** The repository in `storage`, created where there is nothing yet. Throws `not_a_repository`, `format_unsupported`, `not_writable`, `disk_full`. */
export const openOrCreateRepository = async (storage: Storage): Promise<Repository> => {
  if (await hasMarker(storage)) return new Repository(storage);
  if (!(await storage.isEmpty())) throw toNotRepository(storage);
  try {
    await storage.publish(repositoryMarker, `${JSON.stringify({ format, formatVersion })}\n`);
  } catch (error) {
    // Another run may have created it in this moment.
    if (!(await hasMarker(storage))) throw error;
  }
  return new Repository(storage);
};

const hasMarker = async (storage: Storage): Promise<boolean> => {
  const content = await storage.read(repositoryMarker, maxMarkerBytes);
  if (content === null) return false;
  const marker = parseMarker(content.toString('utf8'));
  if (marker?.format !== format || !Number.isInteger(marker.formatVersion)) throw toNotRepository(storage);
  if (marker.formatVersion !== formatVersion) {
    throw new DbbackupError(
      'format_unsupported',
      `the repository in ${storage.location} has format version ${String(marker.formatVersion)}`,
      { details: { path: storage.location } },
    );
  }
  return true;
};

const parseMarker = (text: string): { readonly format?: unknown; readonly formatVersion?: unknown } | null => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch {
    return null; // not JSON: the caller says that this is no repository
  }
};

const toNotRepository = (storage: Storage): DbbackupError =>
  new DbbackupError('not_a_repository', `${storage.location} is not a dbbackup repository`, { details: { path: storage.location } });

const toNotFound = (id: string, storage: Storage): DbbackupError =>
  new DbbackupError('backup_not_found', `there is no backup ${id} in ${storage.location}`, {
    details: { object: id, path: storage.location },
  });
