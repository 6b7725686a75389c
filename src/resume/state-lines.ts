import { z } from 'zod';
import type { Catalog, Column, ColumnType, Relation } from '../catalog/model.js';
import type { UsedGlobal } from '../catalog/used-globals.js';
import { archiveSchema, type ManifestArchive, type ManifestSnapshot, snapshotSchema } from '../manifest/schema.js';
import type { BackupPlan, RelationPlan } from '../planner/plan.js';
import type { QueuedTask } from '../planner/queue.js';
import type { KeptReading } from './mix-plans.js';

/** What is known of one snapshot of a database: enough to go on reading under it, and to tell what was read. */
export interface SnapshotState {
  readonly snapshot: ManifestSnapshot;
  /** When the leader's transaction began, by the server: no other transaction of its session has it. */
  readonly transactionStart: string;
  readonly schema: ManifestArchive;
  readonly catalog: Catalog;
  /** Its tasks are those below. */
  readonly plan: BackupPlan;
  /** What is read under this snapshot, numbered within the run. */
  readonly tasks: readonly QueuedTask[];
  /** Roles and tablespaces that it names. */
  readonly used: readonly UsedGlobal[];
  /** What stays of earlier snapshots. */
  readonly kept: readonly KeptReading[];
}

/** A line for the head, then one for each relation, its plan, and each task. Types, which most columns share, stand in the head once. */
export function* toLines(state: SnapshotState): Iterable<string> {
  const { catalog, plan, tasks, ...rest } = state;
  const types = new Map<ColumnType, number>();
  for (const { columns } of catalog.relations) for (const { type } of columns) if (!types.has(type)) types.set(type, types.size);
  const head = {
    ...rest,
    catalog: { ...catalog, relations: [] },
    plan: { ...plan, relations: [], tasks: [] },
    types: [...types.keys()],
  };
  yield JSON.stringify(head);
  for (const relation of catalog.relations) {
    const columns = relation.columns.map(({ name, quotedName, type }) => [name, quotedName === name ? null : quotedName, types.get(type)]);
    yield JSON.stringify({ relation: { ...relation, columns } });
  }
  for (const planned of plan.relations) yield JSON.stringify({ planned });
  for (const task of tasks) yield JSON.stringify({ task });
}

/** Names enter SQL as the server quoted them, and nothing else does. */
const identifier = `(?:"(?:[^"\\u0000]|"")+"|[a-z_][a-z0-9_$]*)`;
const quotedColumn = z.string().regex(new RegExp(`^${identifier}$`, 'su'));
const quotedRelation = z.string().regex(new RegExp(`^${identifier}\\.${identifier}$`, 'su'));
const count = z.int().min(0);
const positive = z.int().min(1);
const key = z.object({ oid: count, page: count }).nullable();

const headSchema = z.looseObject({
  snapshot: snapshotSchema.extend({ id: z.string().regex(/^[0-9A-F-]{1,64}$/) }),
  transactionStart: z.string(),
  schema: archiveSchema,
  kept: z.array(z.object({ snapshot: positive, relationOids: z.array(positive), areLargeObjectsKept: z.boolean() })),
  used: z.array(z.looseObject({ kind: z.enum(['role', 'tablespace']), name: z.string() })),
  catalog: z.looseObject({ database: z.looseObject({ encoding: z.string().regex(/^[A-Za-z0-9_]{1,63}$/) }) }),
  plan: z.looseObject({ estimatedRawBytes: count }),
  types: z.array(z.looseObject({ oid: positive })),
});

const relationSchema = z.looseObject({
  oid: positive,
  schema: z.string(),
  name: z.string(),
  quotedName: quotedRelation,
  fileNode: count,
  columns: z.array(z.tuple([z.string(), quotedColumn.nullable(), count])),
});

const plannedSchema = z.looseObject({ oid: positive, format: z.enum(['binary', 'text']), readMethod: z.enum(['whole', 'ctid-ranges']) });

const chunkSchema = z.union([
  z.looseObject({ relation: count, beginBlock: count.nullable(), endBlock: count.nullable(), estimatedRawBytes: count, name: z.string() }),
  z.looseObject({ stream: z.enum(['content', 'metadata']), begin: key, end: key, estimatedRawBytes: count, name: z.string() }),
]);

const taskSchema = z.looseObject({
  taskId: positive,
  database: positive,
  snapshot: positive,
  estimatedRawBytes: count,
  chunks: z.array(chunkSchema).min(1),
});

const lineSchema = z.union([z.object({ relation: relationSchema }), z.object({ planned: plannedSchema }), z.object({ task: taskSchema })]);

/** The state that `toLines` wrote. Throws when it is anything else. */
export const parseState = async (lines: AsyncIterable<string>): Promise<SnapshotState> => {
  let head: z.infer<typeof headSchema> | undefined;
  const relations: Relation[] = [];
  const planned: RelationPlan[] = [];
  const tasks: QueuedTask[] = [];
  for await (const line of lines) {
    const value: unknown = JSON.parse(line);
    if (head === undefined) {
      head = headSchema.parse(value);
      continue;
    }
    const item = lineSchema.parse(value);
    if ('relation' in item) relations.push(toRelation(item.relation, head.types as unknown as readonly ColumnType[]));
    else if ('planned' in item) planned.push(item.planned as unknown as RelationPlan);
    else tasks.push(item.task as unknown as QueuedTask);
  }
  if (head === undefined) throw new Error('it is empty');
  const { snapshot, transactionStart, schema, kept } = head;
  const used = head.used as unknown as readonly UsedGlobal[];
  return {
    snapshot,
    transactionStart,
    schema,
    kept,
    used,
    catalog: { ...(head.catalog as unknown as Catalog), relations },
    plan: { ...(head.plan as unknown as BackupPlan), relations: planned, tasks },
    tasks,
  };
};

const toRelation = (packed: z.infer<typeof relationSchema>, types: readonly ColumnType[]): Relation => {
  const columns = packed.columns.map(([name, quotedName, index]): Column => {
    const type = types[index];
    if (type === undefined) throw new Error(`there is no type ${index}`);
    return { name, quotedName: quotedName ?? quotedColumn.parse(name), type };
  });
  return { ...(packed as unknown as Relation), columns };
};
