import { largestFirst, pack } from './order.js';

/** What the planner needs of a manifest's segment. */
export interface PlannableSegment {
  /** Index of the data file. */
  readonly file: number;
  readonly offset: number;
  readonly rawBytes: number;
}

/** What the planner needs of a manifest's relation. */
export interface PlannableRelation {
  readonly segments: readonly PlannableSegment[];
}

/** A segment, by its relation's index in the manifest and its own index in the relation. */
export interface SegmentRef {
  readonly relation: number;
  readonly segment: number;
}

export interface RestoreTask {
  /** From 1, in order of execution. */
  readonly taskId: number;
  readonly segments: readonly SegmentRef[];
  readonly estimatedRawBytes: number;
}

/** A relation whose indexes and constraints are built as soon as its own rows are there, while others still load. */
export interface LargeRelation {
  readonly relation: number;
  /** Tasks that load it. */
  readonly taskIds: readonly number[];
}

export interface RestorePlan {
  /** Largest first; every segment of the manifest that is not loaded is in exactly one. */
  readonly tasks: readonly RestoreTask[];
  /** Largest first; those that are loaded already are none of them. */
  readonly largeRelations: readonly LargeRelation[];
  readonly estimatedRawBytes: number;
}

export interface RestorePlanOptions {
  readonly jobs: number;
  /** Segments that are loaded already. Default: none. */
  readonly isLoaded?: (ref: SegmentRef) => boolean;
}

const mebibyte = 1024 * 1024;
/** From here on a relation's indexes are worth a pg_restore of their own. */
const largeBytes = 64 * mebibyte;
const packBytes = 64 * mebibyte;
const packCount = 500;

/** Which segments are loaded by which task: small relations of one data file together, in its order; segments of large relations apart. Pure and deterministic. */
export const planRestore = (relations: readonly PlannableRelation[], options: RestorePlanOptions): RestorePlan => {
  const items = relations.flatMap((relation, index) => {
    const rawBytes = totalBytes(relation);
    return relation.segments.map((segment, number) => {
      return {
        ref: { relation: index, segment: number },
        ...segment,
        estimatedRawBytes: segment.rawBytes,
        isLarge: rawBytes >= largeBytes,
      };
    });
  });
  const pending = items.filter(({ ref }) => options.isLoaded?.(ref) !== true);
  const small = pending.filter(({ isLarge }) => !isLarge).sort((a, b) => a.file - b.file || a.offset - b.offset);
  const maxBytes = Math.min(packBytes, Math.max(mebibyte, Math.ceil(sum(small.map(({ rawBytes }) => rawBytes)) / (options.jobs * 2))));
  const groups = [
    ...pending.filter(({ isLarge }) => isLarge).map((item) => [item]),
    ...groupBy(small, ({ file }) => file).flatMap((group) => pack(group, { maxBytes, maxCount: packCount })),
  ];
  const unnumbered = groups.map((group) => ({
    segments: group.map(({ ref }) => ref),
    estimatedRawBytes: sum(group.map(({ rawBytes }) => rawBytes)),
  }));
  const tasks = largestFirst(unnumbered).map((task, index): RestoreTask => ({ taskId: index + 1, ...task }));
  return { tasks, largeRelations: listLarge(relations, tasks), estimatedRawBytes: sum(relations.map(totalBytes)) };
};

const listLarge = (relations: readonly PlannableRelation[], tasks: readonly RestoreTask[]): readonly LargeRelation[] => {
  const sizes = relations.map((relation, index) => ({ relation: index, estimatedRawBytes: totalBytes(relation) }));
  const taskIds = new Map(
    largestFirst(sizes.filter(({ estimatedRawBytes }) => estimatedRawBytes >= largeBytes)).map(({ relation }) => [
      relation,
      [] as number[],
    ]),
  );
  for (const { taskId, segments } of tasks) {
    for (const { relation } of segments) taskIds.get(relation)?.push(taskId);
  }
  return [...taskIds].filter(([, ids]) => ids.length > 0).map(([relation, ids]) => ({ relation, taskIds: ids }));
};

/** Consecutive items of equal key. */
const groupBy = <T>(items: readonly T[], keyOf: (item: T) => number): readonly (readonly T[])[] => {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
};

const totalBytes = ({ segments }: PlannableRelation): number => sum(segments.map(({ rawBytes }) => rawBytes));

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
