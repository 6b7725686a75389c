/** What tables mean for a backup of them. Pure. */
import { displayName } from '../catalog/names.js';
import { type Finding, fail, ok, warn } from '../core/findings.js';
import { formatBytes, formatPlural } from '../core/units.js';
import type { BackupPlan, RelationPlan } from '../planner/plan.js';

const shownCount = 5;

/** `a, b and 3 more`. */
const enumerate = (names: readonly string[]): string =>
  names.length <= shownCount ? names.join(', ') : `${names.slice(0, shownCount).join(', ')} and ${names.length - shownCount} more`;

/** Relations larger than a chunk that one connection reads from beginning to end. */
export const judgeSplitting = (plan: BackupPlan, chunkSizeBytes: number): Finding => {
  const whole = plan.relations.filter(({ estimatedRawBytes, chunkCount }) => chunkCount === 1 && estimatedRawBytes > chunkSizeBytes);
  const [first] = whole;
  if (first === undefined) return ok('unsplittable', `every table larger than ${formatBytes(chunkSizeBytes)} can be read in parts`);
  const names = enumerate(whole.map((relation) => `${displayName(relation)} (${formatBytes(relation.estimatedRawBytes)})`));
  return warn(
    'unsplittable',
    `${names}: read by one connection each, since ${first.readReason}`,
    'Nothing need be done: the backup takes at least as long as the largest of them. Partitions are read in parallel.',
  );
};

/** What COPY can send as one row (`MaxAllocSize`). */
export const maxRowBytes = 2 ** 30 - 1;
const nearRowBytes = maxRowBytes / 2;

/** The largest row that was found in a relation. */
export interface LargestRow {
  readonly relation: Pick<RelationPlan, 'schema' | 'name' | 'format'>;
  readonly ctid: string;
  /** As COPY would send it. */
  readonly rawBytes: number;
}

/** `lookedAt`: in how many tables was looked, and whether at all their rows. */
export const judgeRows = (rows: readonly LargestRow[], lookedAt: { readonly count: number; readonly isPartial: boolean }): Finding => {
  const [largest] = rows.toSorted((a, b) => b.rawBytes - a.rawBytes);
  if (largest === undefined) return ok('rows', 'no table has values large enough to look at');
  const { relation, ctid, rawBytes } = largest;
  const part = lookedAt.isPartial ? ', samples in those of many rows' : '';
  const measured = `the largest row is that of ${displayName(relation)} at ctid ${ctid}, about ${formatBytes(rawBytes)} as ${relation.format} (looked in ${formatPlural(lookedAt.count, 'table')}${part})`;
  const asBinary =
    relation.format === 'text' ? 'Use --format binary if the table allows it, where bytea takes half the room, or split' : 'Split';
  if (rawBytes > maxRowBytes) return fail('rows', measured, `${asBinary} the value: COPY cannot send a row of 1 GB or more.`);
  return rawBytes > nearRowBytes
    ? warn('rows', measured, `${asBinary} the value before it grows: COPY cannot send a row of 1 GB or more.`)
    : ok('rows', measured);
};
