import { join } from 'node:path';
import type { ManifestDatabase } from '../manifest/schema.js';
import type { Session } from '../native/session.js';
import { presentEntriesQuery } from '../restore-kit/present-entries-sql.js';
import { type ArchiveEntry, splitEntries } from '../tools/archive-list.js';
import { findPending, type PendingEntries } from '../tools/pending-entries.js';
import { type RestoreArchiveOptions, restorePostData, restorePreData } from '../tools/restore-archive.js';
import type { RestoreScope } from './restore-scope.js';

/** The archive's last section in one target: indexes, constraints, triggers and the like. */
export interface PostDataParts {
  readonly archive: RestoreArchiveOptions;
  readonly scope: RestoreScope;
  readonly database: ManifestDatabase;
  readonly session: Session;
  readonly jobs: number;
  /** Private directory for lists. */
  readonly scratch: string;
  /** An earlier run may have restored some of it. */
  readonly isResuming: boolean;
}

/** What of it is still to be restored: all, but for what an earlier run has done. */
export const findPendingEntries = async ({ scope, session, isResuming }: PostDataParts): Promise<PendingEntries> => {
  if (!isResuming) return { pending: scope.entries, comments: [] };
  const { rows } = await session.query(presentEntriesQuery);
  return findPending(scope.entries, new Set(rows.map(([text]) => text ?? '')));
};

const indexTypes: ReadonlySet<string> = new Set(['INDEX', 'CONSTRAINT', 'INDEX ATTACH']);
const attachTypes: ReadonlySet<string> = new Set(['INDEX ATTACH']);
const foreignKeyTypes: ReadonlySet<string> = new Set(['FK CONSTRAINT']);

/**
 * Partitions are attached to parents of the target between their indexes and all else. Foreign keys come last where indexes are attached: a key to a table with partitions of partitions takes
 * locks in another order than attaching does, and pg_restore's connections would run into a deadlock. `warn` is told as steps end.
 */
export const restoreLastSection = async (
  parts: PostDataParts,
  entries: readonly ArchiveEntry[],
  warn: (messages: readonly string[]) => void,
): Promise<void> => {
  const { archive, scope, jobs, scratch } = parts;
  const listPath = join(scratch, 'rest.list');
  const restore = async (rest: readonly ArchiveEntry[]): Promise<void> => warn(await restorePostData(archive, { rest, jobs, listPath }));
  let rest: readonly ArchiveEntry[] = entries.filter((entry) => !scope.lateEntries.includes(entry));
  if (scope.lateEntries.length > 0) {
    const { chosen, others } = splitEntries(rest, indexTypes);
    await restore(chosen);
    warn(await restorePreData(archive, await findUnattached(parts), join(scratch, 'attach.list')));
    rest = others;
  }
  if (!rest.some(({ type }) => type === 'INDEX ATTACH')) return restore(rest);
  const { chosen: keys, others } = splitEntries(rest, foreignKeyTypes);
  const { chosen: attaching, others: first } = splitEntries(others, attachTypes);
  await restore(first);
  // One by one: of two that run at the same time neither sees that with the other the parent's index is complete, and it would stay invalid.
  warn(await restorePostData(archive, { rest: attaching, jobs: 1, listPath }));
  await restore(keys);
};

const attachedQuery = `SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relispartition`;

/** An earlier run may have attached some. */
const findUnattached = async ({ scope, database, session, isResuming }: PostDataParts): Promise<readonly ArchiveEntry[]> => {
  if (!isResuming) return scope.lateEntries;
  const oids = new Map(scope.entries.map(({ dumpId, oid }) => [dumpId, oid]));
  const names = new Map([...database.relations, ...database.otherRelations].map((relation) => [relation.oid, relation]));
  const isAttached = async ({ dependencies }: ArchiveEntry): Promise<boolean> => {
    const relation = names.get(dependencies.map((id) => oids.get(id)).find((oid) => oid !== undefined) ?? 0);
    return relation !== undefined && (await session.query(attachedQuery, [relation.schema, relation.name])).rows.length > 0;
  };
  const unattached: ArchiveEntry[] = [];
  for (const entry of scope.lateEntries) if (!(await isAttached(entry))) unattached.push(entry);
  return unattached;
};
