import type { Catalog, Relation, ServerFacts } from '../catalog/model.js';
import { displayName } from '../catalog/names.js';
import { countBlocks, countRanges, splitBlocks } from './chunking.js';
import { chooseFormat, type FormatSubject } from './format-choice.js';
import { estimateLargeObjects, planLargeObjects } from './large-objects.js';
import { largestFirst, pack } from './order.js';
import {
  type BackupPlan,
  type BackupPlanOptions,
  type Chunk,
  isRelationChunk,
  type PlannedTask,
  type RelationChunk,
  type RelationPlan,
  type SkippedRelation,
} from './plan.js';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

/** Below this a chunk's own connection round trips, file and frames begin to show. */
const minTargetBytes = 16 * mebibyte;
/** Chunks for each job, so that the last ones to end leave others idle for a small part of the run only. */
const chunksPerJob = 4;
/** A relation up to this size shares a task and its data file with others. */
const smallBytes = 8 * mebibyte;
const packBytes = 64 * mebibyte;
const packCount = 500;
/** An empty relation still costs a few statements. */
const minRelationBytes = kibibyte;

/**
 * Which rows are read by which task: ranges of blocks for large heap tables, whole relations else, ranges of keys for large objects, what is small packed together,
 * largest task first.
 * Sizes are heap and TOAST as the Catalog has them: estimates of raw bytes, good enough to order and cut by. Pure and deterministic.
 */
export const planBackup = (catalog: Catalog, options: BackupPlanOptions): BackupPlan => {
  const sources: Relation[] = [];
  const skipped: SkippedRelation[] = [];
  const rowless = new Map(catalog.rowless);
  for (const relation of catalog.relations) {
    if (relation.kind === 'p') continue;
    const { oid, schema, name } = relation;
    const chosenReason = rowless.get(oid);
    if (chosenReason !== undefined) skipped.push({ oid, schema, name, reason: chosenReason, isChosen: true });
    else if (relation.isUnlogged && catalog.server.isStandby)
      skipped.push({ oid, schema, name, reason: 'unlogged tables have no rows on a standby', isChosen: false });
    else sources.push(relation);
  }
  const estimatedRawBytes = sum(sources.map(estimateBytes)) + estimateLargeObjects(catalog.largeObjects);
  const targetBytes = chooseTarget(estimatedRawBytes, options);
  const readings = sources.map((relation, index) => planReading(relation, index, catalog.server, targetBytes));
  const trees = sumTrees(sources);
  const relations = sources.map((relation, index): RelationPlan => {
    const { oid, schema, name, quotedName } = relation;
    const { format, reason: formatReason } = chooseFormat(trees.get(relation.partitionRootOid ?? 0) ?? relation, options.format);
    const chunkCount = readings[index]?.chunks.length ?? 0;
    const readReason = readings[index]?.reason ?? '';
    const readMethod = chunkCount > 1 ? 'ctid-ranges' : 'whole';
    return {
      oid,
      schema,
      name,
      quotedName,
      format,
      formatReason,
      readMethod,
      readReason,
      estimatedRawBytes: estimateBytes(relation),
      chunkCount,
    };
  });
  return {
    relations,
    skipped,
    tasks: planTasks(
      [...readings.flatMap(({ chunks }) => chunks), ...planLargeObjects(catalog.largeObjects, targetBytes)],
      relations,
      options.jobs,
    ),
    estimatedRawBytes,
  };
};

/** What decides on the format, by root: partitions have one format, so that rows which come back to another one have the same digest there. */
const sumTrees = (relations: readonly Relation[]): ReadonlyMap<number, FormatSubject> => {
  const trees = new Map<number, Required<FormatSubject>>();
  for (const { partitionRootOid, columns, heapBytes, toastBytes, estimatedRowCount } of relations) {
    if (partitionRootOid === null) continue;
    const tree = trees.get(partitionRootOid) ?? { columns, heapBytes: 0, toastBytes: 0, estimatedRowCount: 0 };
    trees.set(partitionRootOid, {
      columns: tree.columns,
      heapBytes: tree.heapBytes + heapBytes,
      toastBytes: tree.toastBytes + toastBytes,
      estimatedRowCount: tree.estimatedRowCount + Math.max(0, estimatedRowCount),
    });
  }
  return trees;
};

const estimateBytes = ({ heapBytes, toastBytes }: Relation): number => Math.max(minRelationBytes, heapBytes + toastBytes);

const chooseTarget = (totalBytes: number, { jobs, chunkSizeBytes }: BackupPlanOptions): number =>
  Math.max(1, Math.min(chunkSizeBytes, Math.max(minTargetBytes, Math.ceil(totalBytes / (jobs * chunksPerJob)))));

interface Reading {
  readonly chunks: readonly RelationChunk[];
  readonly reason: string;
}

const planReading = (relation: Relation, index: number, server: ServerFacts, targetBytes: number): Reading => {
  const estimatedRawBytes = estimateBytes(relation);
  const name = displayName(relation);
  const whole = (reason: string): Reading => ({
    chunks: [{ relation: index, beginBlock: null, endBlock: null, estimatedRawBytes, name }],
    reason,
  });
  if (estimatedRawBytes <= targetBytes) return whole('smaller than a chunk');
  if (relation.accessMethod !== 'heap') return whole(`access method ${relation.accessMethod ?? 'unknown'} has no TID ranges`);
  if (server.version < 140000) return whole('servers before 14 read the whole table for each TID range');
  if (relation.condition !== null && relation.condition !== '')
    return whole('only rows that meet the condition of its extension are saved');
  const blockCount = countBlocks(relation.heapBytes, server.blockSizeBytes);
  const rangeCount = countRanges(blockCount, estimatedRawBytes, targetBytes);
  if (rangeCount === 1) return whole('all rows are in one block');
  const chunks = splitBlocks(blockCount, rangeCount).map(({ begin, end }, number): RelationChunk => {
    const share = ((end ?? blockCount) - begin) / blockCount;
    const blocks = end === null ? `ctid blocks from ${begin}` : `ctid blocks ${begin} to ${end - 1}`;
    const chunkName = `${name} chunk ${number + 1}/${rangeCount} (${blocks})`;
    return { relation: index, beginBlock: begin, endBlock: end, estimatedRawBytes: Math.ceil(estimatedRawBytes * share), name: chunkName };
  });
  return { chunks, reason: `larger than a chunk: ${rangeCount} ranges of ${blockCount} blocks` };
};

/** One task for each chunk, except that small whole relations and streams share; numbered in order of execution. */
const planTasks = (chunks: readonly Chunk[], relations: readonly RelationPlan[], jobs: number): readonly PlannedTask[] => {
  const isWhole = (chunk: Chunk): boolean =>
    isRelationChunk(chunk) ? relations[chunk.relation]?.chunkCount === 1 : chunk.begin === null && chunk.end === null;
  const isSmall = (chunk: Chunk): boolean => chunk.estimatedRawBytes <= smallBytes && isWhole(chunk);
  const small = largestFirst(chunks.filter(isSmall));
  // Twice as many groups as jobs at least, of 1 MiB or 16 relations at least: less is not worth a task of its own.
  const maxBytes = Math.min(packBytes, Math.max(mebibyte, Math.ceil(sum(small.map((chunk) => chunk.estimatedRawBytes)) / (jobs * 2))));
  const maxCount = Math.min(packCount, Math.max(16, Math.ceil(small.length / (jobs * 2))));
  const groups = [...chunks.filter((chunk) => !isSmall(chunk)).map((chunk) => [chunk]), ...pack(small, { maxBytes, maxCount })];
  const tasks = groups.map((group) => ({ chunks: group, estimatedRawBytes: sum(group.map((chunk) => chunk.estimatedRawBytes)) }));
  return largestFirst(tasks).map((task, index) => ({ taskId: index + 1, ...task }));
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
