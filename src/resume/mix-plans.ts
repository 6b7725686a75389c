import type { Catalog, Relation } from '../catalog/model.js';
import { type BackupPlan, type Chunk, isRelationChunk, type PlannedTask } from '../planner/plan.js';

/** What an earlier part of a run has read of a database under one snapshot. */
export interface EarlierReading {
  /** Number of the snapshot. */
  readonly snapshot: number;
  readonly catalog: Catalog;
  readonly plan: BackupPlan;
  /** What was to be read under that snapshot, numbered within the run. */
  readonly tasks: readonly PlannedTask[];
  /** Those of them whose files are there and sound. */
  readonly finished: ReadonlySet<number>;
}

/** What of an earlier reading stays. */
export interface KeptReading {
  readonly snapshot: number;
  /** Relations, all of whose rows were read under that snapshot. */
  readonly relationOids: readonly number[];
  readonly areLargeObjectsKept: boolean;
}

export interface MixedPlan {
  /** The Plan of the new snapshot: all its relations, and tasks for those alone that are read anew. */
  readonly plan: BackupPlan;
  /** Newest first; without those of which nothing stays. */
  readonly kept: readonly KeptReading[];
}

/**
 * What is kept of earlier readings, newest first in `earlier`, when the rest is read under a new snapshot with `catalog` and `plan`: relations that were read whole and have the
 * same definition still. Relations that partitioning or inheritance joins are kept all or none, and of one reading; so are large objects. Pure and deterministic.
 */
export const mixPlans = (earlier: readonly EarlierReading[], catalog: Catalog, plan: BackupPlan): MixedPlan => {
  const trees = toTreeMembers(catalog);
  const planned = new Set(plan.relations.map(({ oid }) => oid));
  const taken = new Set<number>();
  let areLargeObjectsTaken = false;
  const kept = earlier.map((reading): KeptReading => {
    const chunks = collectChunks(reading);
    const relationOids = chooseTrees(reading, chunks.whole, { catalog, trees, planned, taken });
    for (const oid of relationOids) taken.add(oid);
    const areLargeObjectsKept = !areLargeObjectsTaken && chunks.areLargeObjectsWhole;
    areLargeObjectsTaken ||= areLargeObjectsKept;
    return { snapshot: reading.snapshot, relationOids, areLargeObjectsKept };
  });
  return {
    plan: withoutTaken(plan, taken, areLargeObjectsTaken),
    kept: kept.filter(({ relationOids, areLargeObjectsKept }) => relationOids.length > 0 || areLargeObjectsKept),
  };
};

/** Relations all of whose chunks have finished, and whether the same is true of large objects. */
const collectChunks = ({ plan, tasks, finished }: EarlierReading) => {
  const isWhole = new Map<number, boolean>();
  const parts: boolean[] = [];
  for (const { taskId, chunks } of tasks) {
    const isFinished = finished.has(taskId);
    for (const chunk of chunks) {
      if (!isRelationChunk(chunk)) parts.push(isFinished);
      else {
        const oid = plan.relations[chunk.relation]?.oid ?? 0;
        isWhole.set(oid, isFinished && (isWhole.get(oid) ?? true));
      }
    }
  }
  return {
    whole: new Set([...isWhole].filter(([, is]) => is).map(([oid]) => oid)),
    areLargeObjectsWhole: parts.length > 0 && parts.every(Boolean),
  };
};

interface Choice {
  readonly catalog: Catalog;
  readonly trees: ReadonlyMap<number, readonly Relation[]>;
  /** Relations whose rows are to be in the backup. */
  readonly planned: ReadonlySet<number>;
  readonly taken: ReadonlySet<number>;
}

const chooseTrees = (reading: EarlierReading, whole: ReadonlySet<number>, { trees, planned, taken }: Choice): readonly number[] => {
  const before = new Map(reading.catalog.relations.map((relation) => [relation.oid, relation]));
  const beforeTrees = toTreeMembers(reading.catalog);
  const chosen: number[] = [];
  for (const [tree, members] of trees) {
    const wanted = members.filter(({ oid }) => planned.has(oid));
    const isSame =
      wanted.length > 0 &&
      members.length === beforeTrees.get(tree)?.length &&
      members.every((member) => isUnchanged(member, before.get(member.oid))) &&
      wanted.every(({ oid }) => whole.has(oid) && !taken.has(oid));
    if (isSame) chosen.push(...wanted.map(({ oid }) => oid));
  }
  return chosen;
};

const toTreeMembers = ({ relations }: Catalog): ReadonlyMap<number, readonly Relation[]> => {
  const trees = new Map<number, Relation[]>();
  for (const relation of relations) {
    const members = trees.get(relation.treeOid ?? relation.oid);
    if (members === undefined) trees.set(relation.treeOid ?? relation.oid, [relation]);
    else members.push(relation);
  }
  return trees;
};

const isUnchanged = (now: Relation, before: Relation | undefined): boolean =>
  before !== undefined && before.definition === now.definition && describe(before) === describe(now);

/** What the data files and the manifest say of a relation, besides its definition. */
const describe = ({ schema, name, kind, partitionRootOid, isRootNeeded, condition, columns }: Relation): string =>
  JSON.stringify([schema, name, kind, partitionRootOid, isRootNeeded, condition, columns]);

const withoutTaken = (plan: BackupPlan, taken: ReadonlySet<number>, areLargeObjectsTaken: boolean): BackupPlan => {
  const isWanted = (chunk: Chunk): boolean =>
    isRelationChunk(chunk) ? !taken.has(plan.relations[chunk.relation]?.oid ?? 0) : !areLargeObjectsTaken;
  const tasks = plan.tasks
    .map(({ chunks }) => chunks.filter(isWanted))
    .filter((chunks) => chunks.length > 0)
    .map((chunks, index) => ({ taskId: index + 1, chunks, estimatedRawBytes: sum(chunks) }));
  return { ...plan, tasks, estimatedRawBytes: sum(tasks) };
};

const sum = (items: readonly { readonly estimatedRawBytes: number }[]): number =>
  items.reduce((total, { estimatedRawBytes }) => total + estimatedRawBytes, 0);
