import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CompressStream, DecompressStream } from 'zstd-napi';
import { throwIfCancelled } from '../core/abort.js';
import { DbbackupError } from '../core/errors.js';
import type { ManifestArchive } from '../manifest/schema.js';
import { publishFromStreams } from '../storage/durable-files.js';
import { globalsPath, nameInBackup, schemaPath, temporarySuffix } from '../storage/layout.js';
import type { LocalStorage } from '../storage/storage.js';
import { toStorageError } from '../storage/storage-error.js';

/** Fast, and as small as the archive format's own compression. */
const compressionLevel = 3;

/** Private, and never over anything or through a link. */
const newFile = { flags: 'wx', flag: 'wx', mode: 0o600 } as const;

export interface ArchiveTarget {
  readonly storage: LocalStorage;
  readonly id: string;
  /** Number of the database within the backup, and of its snapshot. */
  readonly database: number;
  readonly snapshot: number;
  readonly pgDumpVersion: string;
  readonly signal?: AbortSignal | undefined;
}

/** Writes an archive to the given absolute path; gives warnings. */
export type DumpToPath = (outPath: string) => Promise<readonly string[]>;

/** The schema archive: what `dump` writes, compressed, hashed and published. Constant memory. */
export const storeSchema = (target: ArchiveTarget, dump: DumpToPath): Promise<StoredArchive> =>
  storeArchive(target, schemaPath(target.database, target.snapshot), dump);

/** The script of roles and tablespaces, compressed, hashed and published. It holds hashes of passwords: nothing of it stands in any other file. */
export const storeGlobals = async (target: Omit<ArchiveTarget, 'database' | 'snapshot'>, script: Buffer): Promise<ManifestArchive> => {
  await target.storage.createFolder(nameInBackup(target.id, dirname(globalsPath)));
  return publishArchive(target, globalsPath, Readable.from([script]));
};

export interface StoredArchive {
  readonly archive: ManifestArchive;
  readonly warnings: readonly string[];
}

const storeArchive = async (
  target: Omit<ArchiveTarget, 'database' | 'snapshot'>,
  path: string,
  dump: DumpToPath,
): Promise<StoredArchive> => {
  const folder = await target.storage.createFolder(nameInBackup(target.id, dirname(path)));
  const dumpPath = join(folder, `pg_dump${temporarySuffix}`);
  try {
    // pg_dump overwrites what is there and keeps its mode.
    await writeFile(dumpPath, '', newFile);
    const warnings = await dump(dumpPath);
    return { archive: await publishArchive(target, path, createReadStream(dumpPath)), warnings };
  } finally {
    await rm(dumpPath, { force: true });
  }
};

const publishArchive = async (
  target: Omit<ArchiveTarget, 'database' | 'snapshot'>,
  path: string,
  source: Readable,
): Promise<ManifestArchive> => {
  const { sizeBytes, sha256 } = await publishStream(
    source,
    new CompressStream({ compressionLevel, checksumFlag: true }),
    await target.storage.localPath(nameInBackup(target.id, path)),
    target.signal,
  );
  return { path, sizeBytes, sha256, pgDumpVersion: target.pgDumpVersion };
};

const publishStream = async (
  source: Readable,
  filter: Transform,
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly sizeBytes: number; readonly sha256: string }> => {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      done(null, chunk);
    },
  });
  try {
    await publishFromStreams(path, [source, filter, meter], signal);
  } catch (error) {
    throwIfCancelled(signal);
    throw toStorageError(error, 'write', path);
  }
  return { sizeBytes, sha256: hash.digest('hex') };
};

/** Runs `use` with a private directory for files that are needed for a while, below the system's directory for such files, and removes it. Errors: as `unpackSchema`. */
export const withScratch = async <T>(use: (directory: string) => Promise<T>): Promise<T> => {
  const parent = tmpdir();
  const directory = await mkdtemp(join(parent, 'dbbackup-')).catch((error: unknown) => {
    throw toScratchError(error, parent);
  });
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};

/** Decompresses an archive into a file that can be read in any order. Errors: `disk_full`, `not_writable`, `io_error`. */
export const unpackSchema = async (storedPath: string, intoPath: string): Promise<void> => {
  try {
    await pipeline([createReadStream(storedPath), new DecompressStream(), createWriteStream(intoPath, newFile)]);
  } catch (error) {
    throw toScratchError(error, intoPath);
  }
};

/** Decompresses the script of roles and tablespaces, in memory. Errors: `io_error`, `data_damaged`. Cost: its size, some 300 bytes for each role. */
export const readGlobals = async (storedPath: string): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  const keep = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  try {
    await pipeline([createReadStream(storedPath), new DecompressStream(), keep]);
  } catch (error) {
    throw toStorageError(error, 'read', storedPath);
  }
  return Buffer.concat(chunks);
};

const toScratchError = (error: unknown, path: string): DbbackupError => {
  const { code, message, details } = toStorageError(error, 'write', path);
  return new DbbackupError(code, message, {
    cause: error,
    details: { ...details, hint: 'Set TMPDIR to a directory with room that you may write to.' },
  });
};
