import { join } from 'node:path';
import { DbbackupError } from '../core/errors.js';
import { describeSplitKey, listSplitKeys, type SplitKey } from '../manifest/mixed.js';
import type { ManifestDatabase } from '../manifest/schema.js';
import { type ArchiveEntry, pgConstraintOid } from '../tools/archive-list.js';
import { type RestoreArchiveOptions, restoreComments, restoreEntries, restoreNotValid } from '../tools/restore-archive.js';

/** Foreign keys of a `mixed` backup between relations of different snapshots, and their comments, apart from all else. */
export interface SplitEntries {
  readonly rest: readonly ArchiveEntry[];
  readonly keys: readonly { readonly key: SplitKey; readonly entry: ArchiveEntry; readonly comments: readonly ArchiveEntry[] }[];
}

export const partSplitKeys = (database: ManifestDatabase, entries: readonly ArchiveEntry[]): SplitEntries => {
  const byOid = new Map(listSplitKeys(database).map((key) => [key.oid, key]));
  if (byOid.size === 0) return { rest: entries, keys: [] };
  const keyOf = ({ type, catalogOid, oid }: ArchiveEntry): SplitKey | undefined =>
    type === 'FK CONSTRAINT' && catalogOid === pgConstraintOid ? byOid.get(oid) : undefined;
  const dumpIds = new Set(entries.filter((entry) => keyOf(entry) !== undefined).map(({ dumpId }) => dumpId));
  const isComment = ({ type, dependencies }: ArchiveEntry): boolean => type === 'COMMENT' && dependencies.some((id) => dumpIds.has(id));
  return {
    rest: entries.filter((entry) => !dumpIds.has(entry.dumpId) && !isComment(entry)),
    keys: entries.flatMap((entry) => {
      const key = keyOf(entry);
      if (key === undefined) return [];
      return [{ key, entry, comments: entries.filter((other) => isComment(other) && other.dependencies.includes(entry.dumpId)) }];
    }),
  };
};

/** Makes them once all else is there. One that rows violate is made without a look at them, or where the server has no such thing left out; either is a warning. */
export const restoreSplitKeys = async (
  archive: RestoreArchiveOptions,
  keys: SplitEntries['keys'],
  scratch: string,
): Promise<readonly string[]> => {
  const warnings: string[] = [];
  const listPath = join(scratch, 'split.list');
  for (const { key, entry, comments } of keys) {
    const title = `the foreign key by which ${describeSplitKey(key)}`;
    const failure = await tryKey(async () => {
      warnings.push(...(await restoreEntries(archive, { entries: [entry], jobs: 1, what: title, listPath })));
    });
    if (failure !== null) {
      // A server may speak any language: rows were what was wrong when it takes the key without a look at them.
      const second = await tryKey(async () => {
        warnings.push(...(await restoreNotValid(archive, { entry, what: title, listPath })));
      });
      // Of a partitioned table no server before 18 takes such a key.
      if (second !== null && key.relation.kind !== 'p') throw failure;
      const outcome = second === null ? 'it is NOT VALID' : 'it is left out';
      warnings.push(`${title} has rows without referents: ${outcome}`);
      if (second !== null) continue;
    }
    if (comments.length > 0) warnings.push(...(await restoreComments(archive, { entries: comments, listPath })));
  }
  return warnings;
};

/** Null when it was made, else the error of the tool that made it. */
const tryKey = async (make: () => Promise<void>): Promise<DbbackupError | null> => {
  try {
    await make();
    return null;
  } catch (error) {
    if (error instanceof DbbackupError && error.code === 'tool_failed') return error;
    throw error;
  }
};
