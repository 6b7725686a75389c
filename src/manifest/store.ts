/** Manifests in their storage: written last, believed only when their checksum, their parts and their place fit together. */
import { DbbackupError } from '../core/errors.js';
import { backupNames, checkPath, nameInBackup } from '../storage/layout.js';
import type { Storage } from '../storage/storage.js';
import { encodeManifest, parseManifest, toChecksumLine, verifyChecksum } from './codec.js';
import type { Manifest, ManifestArchive, ManifestDatabase } from './schema.js';
import { listFiles } from './streams.js';

/** What a string can hold; about half a million relations. */
const maxManifestBytes = 500_000_000;
const maxChecksumBytes = 1024;

/** Writes the checksum, then the manifest: from now on the backup exists. Throws what `Storage.publish` throws, and `manifest_damaged` for a manifest nobody could read. */
export const publishManifest = async (storage: Storage, manifest: Manifest): Promise<void> => {
  const content = encodeManifest(manifest);
  await storage.publish(nameInBackup(manifest.id, backupNames.manifestChecksum), toChecksumLine(content));
  await storage.publish(nameInBackup(manifest.id, backupNames.manifest), content);
};

/** The manifest of a finished backup. Throws `backup_unfinished` without one, `manifest_damaged`, `format_unsupported`, `path_unsafe`. */
export const readManifest = async (storage: Storage, id: string): Promise<Manifest> => {
  const content = await storage.read(nameInBackup(id, backupNames.manifest), maxManifestBytes);
  if (content === null) throw new DbbackupError('backup_unfinished', `backup ${id} has no manifest`, { details: { object: id } });
  const line = await storage.read(nameInBackup(id, backupNames.manifestChecksum), maxChecksumBytes);
  if (line === null)
    throw new DbbackupError('manifest_damaged', `backup ${id} has no ${backupNames.manifestChecksum}`, { details: { object: id } });
  verifyChecksum(content, line.toString('latin1'));
  const manifest = parseManifest(content.toString('utf8'));
  if (manifest.id !== id)
    throw new DbbackupError('manifest_damaged', `the manifest in ${id} belongs to backup ${manifest.id}`, { details: { object: id } });
  return manifest;
};

/** Part of a backup. */
export interface BackupPart {
  readonly databases: readonly ManifestDatabase[];
  /** Roles and tablespaces belong to it. */
  readonly hasGlobals: boolean;
}

/**
 * Proves that every file of the backup, or of a part of it, is there, is a file, and has its size; contents are not read.
 * Throws `data_damaged` for the first one that is not, `path_unsafe` for one behind a link. Cost: one stat a file.
 */
export const checkFilesPresent = async (storage: Storage, manifest: Manifest, part: BackupPart = toWhole(manifest)): Promise<void> => {
  const needed = new Set(part.databases.flatMap((database) => [...listFiles(database)]));
  const isWhole = part.databases.length === manifest.databases.length;
  const files = isWhole ? manifest.files : manifest.files.filter((_, index) => needed.has(index));
  for (const { path, sizeBytes } of [...listArchives(manifest, part), ...files]) {
    const stat = await storage.stat(nameInBackup(manifest.id, checkPath(path)));
    if (stat === null) throw new DbbackupError('data_damaged', `${path} is missing`, { details: { object: path, path } });
    if (stat.sizeBytes !== sizeBytes)
      throw new DbbackupError('data_damaged', `${path} has ${stat.sizeBytes} bytes instead of ${sizeBytes}`, {
        details: { object: path, path },
      });
  }
};

/** The archives of a backup, or of a part of it. */
export const listArchives = (manifest: Manifest, part: BackupPart = toWhole(manifest)): readonly ManifestArchive[] => [
  ...(part.hasGlobals && manifest.globals !== null ? [manifest.globals] : []),
  ...part.databases.map(({ schema }) => schema),
];

const toWhole = ({ databases }: Manifest): BackupPart => ({ databases, hasGlobals: true });
