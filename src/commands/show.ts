import { join } from 'node:path';
import { describeSplitKey, listSplitKeys } from '../manifest/mixed.js';
import type { Manifest } from '../manifest/schema.js';
import { readManifest } from '../manifest/store.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import type { ShowOptions } from './options.js';

export interface ShowReport {
  readonly manifest: Manifest;
  /** Where the backup's files are. */
  readonly directory: string;
  /** Of a `mixed` backup: foreign keys between relations of different snapshots, in words; a restore may find rows without referents there. */
  readonly splitKeys: readonly string[];
}

/**
 * The manifest of a finished backup, as it was written: its checksum is compared.
 * Errors: `repository_not_found`, `not_a_repository`, `backup_not_found`, `backup_unfinished`, `manifest_damaged`, `format_unsupported`, `path_unsafe`.
 */
export const show = async (options: ShowOptions): Promise<ShowReport> => {
  const storage = openLocalStorage(options.outputDir);
  const { id } = await (await openRepository(storage)).findFinished(options.id);
  const manifest = await readManifest(storage, id);
  const splitKeys = manifest.databases.flatMap((database) => listSplitKeys(database).map(describeSplitKey));
  return { manifest, directory: join(storage.location, id), splitKeys };
};
