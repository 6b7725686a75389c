import type { ArchiveEntry } from './archive-list.js';

/** Types of the last section of which a second attempt fails where the first one succeeded. All others can be restored again: comments, grants, attached partitions. */
const singleTypes: ReadonlySet<string> = new Set([
  'INDEX',
  'CONSTRAINT',
  'FK CONSTRAINT',
  'CHECK CONSTRAINT',
  'TRIGGER',
  'RULE',
  'POLICY',
  'STATISTICS',
  'EVENT TRIGGER',
  'PUBLICATION',
  'PUBLICATION TABLE',
  'SUBSCRIPTION',
]);

export interface PendingEntries {
  /** In the archive's order, without comments on what is there. */
  readonly pending: readonly ArchiveEntry[];
  /** Comments on what is there: they may have been lost. To be restored apart, since pg_restore takes a comment's section from the entry before it. */
  readonly comments: readonly ArchiveEntry[];
}

/**
 * What is still to be restored of an archive where a restore was interrupted. `present`: what the target has, each as `TYPE schema tag`. One statement makes one entry, so it is
 * there or it is not. Names are not read out of the list: an entry is there if its line is one of those texts and an owner, which is one word; a role whose name has a
 * space makes its entries look missing, and restoring them fails, rather than one being lost. Pure.
 */
export const findPending = (entries: readonly ArchiveEntry[], present: ReadonlySet<string>): PendingEntries => {
  const isThere = ({ type, line }: ArchiveEntry): boolean => {
    if (!singleTypes.has(type)) return false;
    const text = line.replace(/^\d+; \d+ \d+ /, '');
    return present.has(text.slice(0, text.lastIndexOf(' ')));
  };
  const there = new Set(entries.filter(isThere).map(({ dumpId }) => dumpId));
  const isComment = ({ type, dependencies }: ArchiveEntry): boolean => type === 'COMMENT' && dependencies.some((id) => there.has(id));
  return {
    pending: entries.filter((entry) => !there.has(entry.dumpId) && !isComment(entry)),
    comments: entries.filter(isComment),
  };
};
