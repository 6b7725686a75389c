/** An object's name, relative to its storage: `/` between folders, alphabet and form of `docs/format.md` section 1. Any other name is refused with `path_unsafe`. */
export type ObjectName = string;

export interface ObjectStat {
  readonly name: ObjectName;
  readonly sizeBytes: number;
  /** Milliseconds since 1970, UTC. */
  readonly modifiedAtMs: number;
}

/** What a storage can do beyond the contract of Storage, as data: callers decide by these, never by class. */
export interface StorageCapabilities {
  /** Objects are files of this machine, so that the storage is a LocalStorage and the native engine reads and writes them itself. */
  readonly isLocal: boolean;
}

export interface PublishOptions {
  /** The owner may run the object, where the storage knows such a thing. Default: false. */
  readonly isExecutable?: boolean;
}

/**
 * Named objects that are written once. Knows nothing of PostgreSQL nor of backups.
 *
 * Guarantees of every implementation, proved by `test/contract`:
 * - **Atomic**: an object is not there, or is there whole; nobody sees a part of it, at no time and after no crash.
 * - **Durable**: once a call that changes something has returned, its effect survives a loss of power.
 * - **Written once**: a published object is never overwritten; publishing its name again fails with `io_error` and changes nothing.
 * - **Contained**: no call reads, writes or deletes anything outside the storage; a symbolic link met on the way is refused with `path_unsafe`.
 * - **Private**: what is created is readable by its owner alone, where the storage knows owners.
 *
 * Errors: `path_unsafe`, `disk_full`, `not_writable`, `io_error`. A missing object is `null`, not an error: only the caller knows what it means.
 */
export interface Storage {
  /** How errors and reports name the storage: a directory, later a URL. Never holds a secret. */
  readonly location: string;
  readonly capabilities: StorageCapabilities;

  /** Creates the object, and the folders it needs. Text is stored as UTF-8. */
  publish(name: ObjectName, content: string | Uint8Array, options?: PublishOptions): Promise<void>;
  /** The whole object. One larger than `maxBytes` is refused with `io_error` before it is read: memory stays bounded whatever lies there. */
  read(name: ObjectName, maxBytes: number): Promise<Buffer | null>;
  stat(name: ObjectName): Promise<ObjectStat | null>;
  /** All objects below a folder (`''` is everything), by name. Unpublished ones, links and names outside the alphabet are left out. Cost: about 200 bytes an object. */
  list(folder: ObjectName | ''): Promise<readonly ObjectStat[]>;
  /** Names of the folders directly in a folder, sorted; their contents are not looked at. */
  listFolders(folder: ObjectName | ''): Promise<readonly string[]>;
  /** True when the storage holds nothing at all or does not exist, so that it may be taken into use. What `list` leaves out counts as something. */
  isEmpty(): Promise<boolean>;
  /** Deletes one object, or a link in its place; none of that name is no error. */
  remove(name: ObjectName): Promise<void>;
  /** Deletes a folder with all that is in it; links in it are deleted, never followed. No folder of that name is no error. */
  removeTree(folder: ObjectName): Promise<void>;
}

/** A storage whose objects are files. A path it gives is for reading and writing by the native engine, which keeps the same guarantees. */
export interface LocalStorage extends Storage {
  /** Absolute path of an object or folder, which need not exist. */
  localPath(name: ObjectName): Promise<string>;
  /** Creates a folder and those above it where they are missing; returns its absolute path. */
  createFolder(folder: ObjectName): Promise<string>;
  /** Creates an object that grows: the one kind that is visible before it is complete. Fails with `io_error` when the name is taken. */
  openAppender(name: ObjectName): Promise<Appender>;
  /** Goes on with an object that grew, after its first `keptBytes`: what follows them is cut off. Fails with `io_error` when it is not there. */
  reopenAppender(name: ObjectName, keptBytes: number): Promise<Appender>;
  /** Deletes what is in a folder, unpublished files and links as well, but for these objects. No folder of that name is no error. */
  removeAllBut(folder: ObjectName, kept: ReadonlySet<ObjectName>): Promise<void>;
}

/** A growing object. One call at a time; after an error its end is undefined and nothing more may be appended. */
export interface Appender {
  /** Durable once it has returned. */
  append(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** True when the native engine can read and write this storage's objects as files. */
export const isLocalStorage = (storage: Storage): storage is LocalStorage => storage.capabilities.isLocal;
