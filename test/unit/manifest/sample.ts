import fc from 'fast-check';
import type { Catalog, Relation } from '#src/catalog/model.js';
import type { Event } from '#src/core/events.js';
import type { SegmentResult } from '#src/core/results.js';
import { buildManifest, type ManifestFacts } from '#src/manifest/builder.js';
import type { Manifest } from '#src/manifest/schema.js';
import type { BackupPlan, Chunk, RelationPlan } from '#src/planner/plan.js';
import { queueTasks } from '#src/planner/queue.js';
import { dataStem } from '#src/storage/layout.js';

export const finishedAt = '2026-01-02T03:14:05.000Z';

const hex = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const size = fc.integer({ min: 0, max: 2 ** 40 });
/** Any name PostgreSQL could hold: quotes, newlines, shell syntax, anything but a zero byte. */
const name = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => !text.includes('\0')),
  fc.constantFrom('"; $(touch x)', 'new\nline', 'a\\q', "it's", ':"v"'),
);

export const toRelation = (oid: number, relationName: string, kind: 'r' | 'p' = 'r', columns: readonly string[] = ['id']): Relation => ({
  oid,
  schema: 'public',
  name: relationName,
  quotedName: '',
  kind,
  accessMethod: kind === 'r' ? 'heap' : null,
  fileNode: kind === 'r' ? oid : 0,
  heapBytes: 8192,
  toastBytes: 0,
  estimatedRowCount: 1,
  partitionRootOid: null,
  treeOid: null,
  definition: '1',
  isRootNeeded: false,
  isUnlogged: false,
  columns: columns.map((column) => ({
    name: column,
    quotedName: '',
    type: { oid: 23, typtype: 'b', qualifiedName: 'pg_catalog.int4', isBuiltIn: true, element: null },
  })),
  condition: null,
});

const toRelationPlan = (relation: Relation, format: 'binary' | 'text', chunkCount: number): RelationPlan => ({
  oid: relation.oid,
  schema: relation.schema,
  name: relation.name,
  quotedName: relation.quotedName,
  format,
  formatReason: 'all types are safe',
  readMethod: chunkCount > 1 ? 'ctid-ranges' : 'whole',
  readReason: 'smaller than a chunk',
  estimatedRawBytes: 1,
  chunkCount,
});

const server: Catalog['server'] = {
  version: 150_018,
  versionText: '15.18',
  systemIdentifier: '7450000000000000000',
  startedAt: '2026-01-01T00:00:00.000Z',
  isStandby: false,
  blockSizeBytes: 8192,
};
const database: Catalog['database'] = {
  name: 'shop',
  owner: 'postgres',
  encoding: 'UTF8',
  collate: 'C.UTF-8',
  ctype: 'C.UTF-8',
  localeProvider: 'c',
  icuLocale: null,
  icuRules: null,
  tablespace: 'pg_default',
};

/** Facts of a run over these relations and tasks; chunks name relations by index. */
export const toFacts = (
  relations: readonly Relation[],
  tasks: readonly (readonly number[])[],
  formats: readonly ('binary' | 'text')[] = [],
): ManifestFacts => {
  const planned = relations.filter((relation) => relation.kind === 'r');
  const toChunk = (relation: number): Chunk => ({ relation, beginBlock: null, endBlock: null, estimatedRawBytes: 1, name: '' });
  const plan: BackupPlan = {
    relations: planned.map((relation, index) =>
      toRelationPlan(relation, formats[index] ?? 'binary', tasks.flat().filter((chunk) => chunk === index).length),
    ),
    skipped: [],
    tasks: tasks.map((chunks, index) => ({ taskId: index + 1, chunks: chunks.map(toChunk), estimatedRawBytes: 1 })),
    estimatedRawBytes: 1,
  };
  return {
    id: 'shop-20260102t030405z-abcd',
    kind: 'single',
    globals: null,
    tool: { name: 'dbbackup', version: '0.1.0' },
    startedAt: '2026-01-02T03:04:05.000Z',
    options: {
      compression: 'zstd:1',
      chunkSizeBytes: 1024 ** 3,
      format: 'auto',
      checksum: 'xxh3-128',
      jobs: 4,
      isOwnerDropped: false,
      arePrivilegesDropped: false,
      selection: null,
    },
    codec: 'zstd',
    consistency: 'exact',
    databases: [
      {
        number: 1,
        name: database.name,
        wave: 1,
        catalog: {
          server,
          database,
          searchPath: ['public'],
          extensions: [],
          roles: [],
          tablespaces: [],
          schemas: [],
          otherRelations: [],
          foreignKeys: [],
          outwardReferences: [],
          rowless: [],
          relations,
          sequences: [],
          materializedViews: [],
          largeObjects: null,
          warnings: [],
        },
        plan,
        snapshot: { number: 1, id: '00000003-0000001B-1', lsn: '0/15D6F88', takenAt: '2026-01-02T03:04:05.100Z' },
        earlier: [],
        schema: { path: 'schema/0001.dump.zst', sizeBytes: 4, sha256: '5'.repeat(64), pgDumpVersion: '15.18' },
      },
    ],
    tasks: queueTasks([{ number: 1, snapshot: { number: 1 }, plan }]),
  };
};

type SegmentFacts = Pick<SegmentResult, 'storedBytes' | 'rawBytes' | 'rowCount' | 'digest'>;

/** What an engine reports of a task: its files hold the segments one after the other; `cuts` says after which segment a new file begins. */
export const toFinished = (
  taskId: number,
  attempt: number,
  segments: readonly (SegmentFacts & { readonly source: number })[],
  cuts: readonly number[],
  checksum: string,
): Event => {
  const files: { path: string; sizeBytes: number; checksum: string }[] = [];
  const placed: SegmentResult[] = [];
  for (const [index, segment] of segments.entries()) {
    if (files.length === 0 || cuts.includes(index))
      files.push({ path: `${dataStem(taskId, attempt)}-p${String(files.length + 1).padStart(3, '0')}.zst`, sizeBytes: 0, checksum });
    const file = files.at(-1);
    if (file === undefined) throw new Error('no file');
    placed.push({ ...segment, file: files.length - 1, offset: file.sizeBytes });
    file.sizeBytes += segment.storedBytes;
  }
  const sum = (field: 'rawBytes' | 'storedBytes' | 'rowCount'): number => segments.reduce((total, segment) => total + segment[field], 0);
  return {
    atMs: 1,
    type: 'chunk.finished',
    taskId,
    name: '',
    rawBytes: sum('rawBytes'),
    storedBytes: sum('storedBytes'),
    rowCount: sum('rowCount'),
    elapsedMs: 1,
    files,
    segments: placed,
  };
};

const segmentFacts: fc.Arbitrary<SegmentFacts> = fc.record({
  storedBytes: size,
  rawBytes: size,
  rowCount: fc.integer({ min: 0, max: 2 ** 30 }),
  digest: hex(32),
});

/** A run: facts, and one `chunk.finished` a task. */
export const run: fc.Arbitrary<{ readonly facts: ManifestFacts; readonly events: readonly Event[] }> = fc
  .record({
    names: fc.uniqueArray(name, { minLength: 1, maxLength: 6 }),
    columns: fc.array(name, { maxLength: 3 }),
    formats: fc.array(fc.constantFrom('binary', 'text'), { minLength: 6, maxLength: 6 }),
    hasRoot: fc.boolean(),
    extraTasks: fc.array(fc.array(fc.nat(5), { minLength: 1, maxLength: 3 }), { maxLength: 3 }),
    attempts: fc.infiniteStream(fc.integer({ min: 1, max: 3 })),
    segments: fc.infiniteStream(segmentFacts),
    segmentCounts: fc.infiniteStream(fc.integer({ min: 1, max: 3 })),
    cuts: fc.infiniteStream(fc.uniqueArray(fc.nat(5), { maxLength: 2 })),
    checksum: hex(32),
  })
  .map(({ names, columns, formats, hasRoot, extraTasks, attempts, segments, segmentCounts, cuts, checksum }) => {
    const relations = names.map((relationName, index) =>
      toRelation(100 + index, relationName, hasRoot && index === 0 && names.length > 1 ? 'p' : 'r', columns),
    );
    const plannedCount = relations.filter((relation) => relation.kind === 'r').length;
    const tasks = [
      Array.from({ length: plannedCount }, (_, index) => index),
      ...extraTasks.map((chunks) => chunks.map((chunk) => chunk % plannedCount)),
    ];
    const facts = toFacts(relations, tasks, formats);
    const events = facts.tasks.map((task) => {
      const results = task.chunks.flatMap((_, source) =>
        Array.from({ length: take(segmentCounts) }, () => ({ ...take(segments), source })),
      );
      return toFinished(task.taskId, take(attempts), results, take(cuts), checksum);
    });
    return { facts, events };
  });

const take = <T>(stream: fc.Stream<T>): T => {
  const next = stream.next();
  if (next.done === true) throw new Error('the stream ended');
  return next.value;
};

/** A small manifest that is right in every respect: two relations share a file, a third has two files. */
export const sampleManifest = (): Manifest => {
  const facts = toFacts([toRelation(101, 'orders'), toRelation(102, '"; $(touch x)'), toRelation(103, 'big')], [[2], [0, 1]]);
  const segment = (source: number, seed: number) => ({
    source,
    storedBytes: seed * 10,
    rawBytes: seed * 100,
    rowCount: seed,
    digest: String(seed).repeat(32),
  });
  const events = [
    toFinished(1, 1, [segment(0, 3), segment(0, 4)], [1], 'c'.repeat(32)),
    toFinished(2, 1, [segment(0, 1), segment(1, 2)], [], 'd'.repeat(32)),
  ];
  return buildManifest(facts, events, finishedAt);
};
