import type { Catalog, Relation } from '../catalog/model.js';
import { DbbackupError } from '../core/errors.js';
import type { Event } from '../core/events.js';
import type { CodecName } from '../core/results.js';
import { toReadMethod } from '../planner/large-object-statements.js';
import {
  type BackupPlan,
  type Chunk,
  isRelationChunk,
  type LargeObjectStream,
  type PlannedTask,
  type RelationPlan,
} from '../planner/plan.js';
import type { QueuedTask } from '../planner/queue.js';
import { backupNames, readAttempt } from '../storage/layout.js';
import { checkManifest } from './check.js';
import { formatVersion } from './codec.js';
import { sumDigests } from './digest.js';
import type {
  Manifest,
  ManifestArchive,
  ManifestDatabase,
  ManifestFile,
  ManifestLargeObjects,
  ManifestOptions,
  ManifestRelation,
  ManifestSegment,
  ManifestSnapshot,
  ManifestStream,
  ManifestWave,
} from './schema.js';

/** What is known of a run besides its Events. */
export interface ManifestFacts {
  readonly id: string;
  readonly kind: Manifest['kind'];
  readonly tool: { readonly name: string; readonly version: string };
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly options: ManifestOptions;
  readonly codec: CodecName;
  readonly consistency: Manifest['consistency'];
  /** At least one. */
  readonly databases: readonly DatabaseFacts[];
  /** Roles and tablespaces: of a cluster alone. */
  readonly globals: ManifestArchive | null;
  /** All tasks of all databases and snapshots of which anything is in the backup, numbered over all. */
  readonly tasks: readonly QueuedTask[];
}

/** A snapshot of a database, and how its rows were to be read. */
export interface ReadingFacts {
  readonly snapshot: ManifestSnapshot;
  readonly catalog: Catalog;
  /** Of the relations of `catalog`; partitioned tables and skipped ones are recorded without rows. */
  readonly plan: BackupPlan;
}

/** An earlier reading of a run that lost its snapshot, and what stays of it. */
export interface EarlierFacts extends ReadingFacts {
  readonly relationOids: ReadonlySet<number>;
  readonly areLargeObjectsKept: boolean;
}

/** What is known of one database of a run: its last reading, which has the definitions. */
export interface DatabaseFacts extends ReadingFacts {
  /** From 1, within the backup. */
  readonly number: number;
  readonly name: string;
  /** From 1: databases of one wave have their snapshots held at the same time. */
  readonly wave: number;
  readonly schema: ManifestArchive;
  /** Empty for a run that kept its snapshot. */
  readonly earlier: readonly EarlierFacts[];
}

type RelationReading = Pick<RelationPlan, 'schema' | 'name' | 'format' | 'formatReason' | 'readMethod' | 'readReason'>;

/** The index of a relation in its plan, or a stream of large objects. */
type SegmentOwner = number | LargeObjectStream;
type SegmentsByOwner = ReadonlyMap<SegmentOwner, readonly ManifestSegment[]>;
/** By the database's number and the snapshot's. */
type SegmentsByReading = ReadonlyMap<string, SegmentsByOwner>;

const toReadingKey = (database: number, snapshot: number): string => `${database} ${snapshot}`;
const noSegments: SegmentsByOwner = new Map();

/** Whether what a chunk holds is in the backup: a task that packs several relations may have read one that was read anew under a later snapshot. */
type IsWanted = (chunk: Chunk) => boolean;

type ChunkFinished = Extract<Event, { readonly type: 'chunk.finished' }>;

/**
 * The fold of a run's Events into its Manifest. Pure; the result depends on neither the order in which tasks finished nor how often one was reported:
 * of several reports on a task the last counts. File paths in Events are relative to the backup's `data` folder. Cost: the Events of finished tasks are kept.
 */
export class ManifestBuilder {
  readonly #finished = new Map<number, ChunkFinished>();

  /** Takes one Event; those that say nothing about data are passed over. */
  add(event: Event): void {
    if (event.type === 'chunk.finished' && event.files !== undefined) this.#finished.set(event.taskId, event);
  }

  /** Throws `backup_unfinished` when a task of the plan has not finished, `internal` or `manifest_damaged` when the Events contradict the plan or themselves. */
  build(facts: ManifestFacts, finishedAt: string): Manifest {
    const { files, segments } = this.#collectData(facts);
    const manifest = toManifest(facts, finishedAt, files, segments);
    checkManifest(manifest);
    return manifest;
  }

  /** Files and segments, both in the order of tasks and, within a task, of its chunks. */
  #collectData(facts: ManifestFacts): { readonly files: readonly ManifestFile[]; readonly segments: SegmentsByReading } {
    const files: ManifestFile[] = [];
    const readings = toReadings(facts.databases);
    for (const task of facts.tasks) {
      const reading = readings.get(toReadingKey(task.database, task.snapshot));
      if (reading === undefined)
        throw new DbbackupError('internal', `task ${task.taskId} reads database ${task.database} under snapshot ${task.snapshot}`);
      const event = this.#finished.get(task.taskId);
      if (event === undefined) throw new DbbackupError('backup_unfinished', `task ${task.taskId} has not finished`);
      const wanted = (event.segments ?? []).filter((segment) => reading.isWanted(toChunk(task, segment.source)));
      const used = new Set(wanted.map(({ file }) => file));
      const isWhole = wanted.length === (event.segments ?? []).length;
      const indexes = new Map<number, number>();
      for (const [index, file] of (event.files ?? []).entries()) {
        if (!isWhole && !used.has(index)) continue;
        indexes.set(index, files.length);
        files.push({
          path: `${backupNames.dataFolder}/${file.path}`,
          sizeBytes: file.sizeBytes,
          checksum: file.checksum,
          codec: facts.codec,
          attempt: readAttempt(file.path),
        });
      }
      for (const { source, file, ...range } of wanted) {
        const index = indexes.get(file);
        if (index === undefined)
          throw new DbbackupError('internal', `task ${task.taskId} has a segment in file ${file}, which it did not write`);
        const owner = toOwner(toChunk(task, source));
        const known = reading.segments.get(owner) ?? [];
        known.push({ file: index, ...range });
        reading.segments.set(owner, known);
      }
    }
    return { files, segments: new Map([...readings].map(([key, { segments }]) => [key, segments])) };
  }
}

const toReadings = (databases: readonly DatabaseFacts[]) => {
  const readings = new Map<string, { readonly isWanted: IsWanted; readonly segments: Map<SegmentOwner, ManifestSegment[]> }>();
  for (const { number, snapshot, earlier } of databases) {
    readings.set(toReadingKey(number, snapshot.number), { isWanted: () => true, segments: new Map() });
    for (const reading of earlier) {
      const { plan, relationOids, areLargeObjectsKept } = reading;
      const isWanted: IsWanted = (chunk) =>
        isRelationChunk(chunk) ? relationOids.has(plan.relations[chunk.relation]?.oid ?? 0) : areLargeObjectsKept;
      readings.set(toReadingKey(number, reading.snapshot.number), { isWanted, segments: new Map() });
    }
  }
  return readings;
};

/** The Manifest of a run's Events. See ManifestBuilder. */
export const buildManifest = (facts: ManifestFacts, events: Iterable<Event>, finishedAt: string): Manifest => {
  const builder = new ManifestBuilder();
  for (const event of events) builder.add(event);
  return builder.build(facts, finishedAt);
};

const toChunk = (task: PlannedTask, source: number): Chunk => {
  const chunk = task.chunks[source];
  if (chunk === undefined)
    throw new DbbackupError('internal', `task ${task.taskId} has a segment of chunk ${source}, which it does not hold`);
  return chunk;
};

const toOwner = (chunk: Chunk): SegmentOwner => (isRelationChunk(chunk) ? chunk.relation : chunk.stream);

const toManifest = (facts: ManifestFacts, finishedAt: string, files: readonly ManifestFile[], segments: SegmentsByReading): Manifest => {
  const { options } = facts;
  const server = facts.databases[0]?.catalog.server;
  if (server === undefined) throw new DbbackupError('internal', 'the run holds no database');
  const databases = facts.databases.map((database) => toDatabase(database, segments));
  const relations = databases.flatMap((database) => database.relations);
  const streams = databases.flatMap(({ largeObjects }) => (largeObjects === null ? [] : [largeObjects.content, largeObjects.metadata]));
  const parts = [...relations, ...streams];
  return {
    format: 'dbbackup',
    formatVersion,
    id: facts.id,
    kind: facts.kind,
    tool: facts.tool,
    startedAt: facts.startedAt,
    finishedAt,
    consistency: facts.consistency,
    baseBackupId: null,
    encryption: null,
    options,
    server: {
      version: server.version,
      versionText: server.versionText,
      systemIdentifier: server.systemIdentifier,
      startedAt: server.startedAt,
    },
    totals: {
      rowCount: sum(parts, (part) => part.rowCount),
      rawBytes: sum(parts, (part) => part.rawBytes),
      storedBytes: sum(parts, (part) => part.storedBytes),
      relationCount: relations.length,
      fileCount: files.length,
    },
    checksum: options.checksum,
    globals: facts.globals,
    waves: toWaves(facts.databases),
    databases,
    files,
  };
};

/** Each wave with the times of its first and last snapshot; ISO times of one form sort as text. */
const toWaves = (databases: readonly DatabaseFacts[]): readonly ManifestWave[] =>
  [...new Set(databases.map(({ wave }) => wave))].map((number) => {
    const times = databases.filter(({ wave }) => wave === number).map(({ snapshot }) => snapshot.takenAt);
    const sorted = times.sort();
    return { number, earliestAt: sorted[0] ?? '', latestAt: sorted.at(-1) ?? '' };
  });

const toDatabase = (facts: DatabaseFacts, segments: SegmentsByReading): ManifestDatabase => {
  const { catalog } = facts;
  const segmentsOf = ({ snapshot }: ReadingFacts): SegmentsByOwner =>
    segments.get(toReadingKey(facts.number, snapshot.number)) ?? noSegments;
  const relations = mergeRelations(facts, segmentsOf);
  const used = new Set(relations.map(({ snapshot }) => snapshot));
  const largeObjectReading = facts.earlier.find(({ areLargeObjectsKept }) => areLargeObjectsKept) ?? facts;
  const earlier = facts.earlier.filter((reading) => used.has(reading.snapshot.number) || reading === largeObjectReading);
  return {
    number: facts.number,
    ...catalog.database,
    searchPath: [...catalog.searchPath],
    name: facts.name,
    wave: facts.wave,
    snapshots: [...earlier.map(({ snapshot }) => snapshot).sort((a, b) => a.number - b.number), facts.snapshot],
    schema: facts.schema,
    largeObjects: toLargeObjects(largeObjectReading, segmentsOf(largeObjectReading)),
    extensions: [...catalog.extensions],
    roles: [...catalog.roles],
    tablespaces: [...catalog.tablespaces],
    schemas: catalog.schemas.map(({ oid, name }) => ({ oid, name })),
    relations,
    otherRelations: [...catalog.otherRelations],
    foreignKeys: [...catalog.foreignKeys],
    outwardReferences: [...catalog.outwardReferences],
    sequences: catalog.sequences.map(({ oid, schema, name, ownerOid, lastValue, isCalled }) => ({
      oid,
      schema,
      name,
      ownerOid,
      lastValue,
      isCalled,
    })),
    materializedViews: catalog.materializedViews.map(({ schema, name }) => ({ schema, name })),
  };
};

/** The relations of the last snapshot, each with the rows of the snapshot it was read under. */
const mergeRelations = (facts: DatabaseFacts, segmentsOf: (reading: ReadingFacts) => SegmentsByOwner): readonly ManifestRelation[] => {
  const { catalog, plan } = facts;
  const kept = new Map<number, ManifestRelation>();
  const treeOids = new Map(catalog.relations.map(({ oid, treeOid }) => [oid, treeOid]));
  // A partitioned table is of the snapshot that its partitions are of.
  const treeReadings = new Map<number, ReadingFacts>();
  for (const reading of facts.earlier) {
    for (const relation of listRelations(reading, segmentsOf(reading))) {
      if (!reading.relationOids.has(relation.oid)) continue;
      kept.set(relation.oid, relation);
      const treeOid = treeOids.get(relation.oid) ?? null;
      if (treeOid !== null) treeReadings.set(treeOid, reading);
    }
  }
  const planned = listRelations(facts, segmentsOf(facts)).map((relation) => kept.get(relation.oid) ?? relation);
  const plannedOids = new Set(plan.relations.map((relation) => relation.oid));
  const skipped = new Map(plan.skipped.map(({ oid, reason }) => [oid, reason]));
  const rowless = catalog.relations
    .filter(({ oid }) => !plannedOids.has(oid))
    .map((relation) => toRelation(treeReadings.get(relation.treeOid ?? 0) ?? facts, toRowlessPlan(relation, skipped), relation, []));
  return [...planned, ...rowless];
};

/** The relations of a plan, with what was read of them. */
const listRelations = (reading: ReadingFacts, segments: SegmentsByOwner): readonly ManifestRelation[] => {
  const known = new Map(reading.catalog.relations.map((relation) => [relation.oid, relation]));
  return reading.plan.relations.map((relation, index) => toRelation(reading, relation, known.get(relation.oid), segments.get(index) ?? []));
};

const toRelation = (
  reading: ReadingFacts,
  plan: RelationReading,
  relation: Relation | undefined,
  segments: readonly ManifestSegment[],
): ManifestRelation => {
  if (relation === undefined)
    throw new DbbackupError('internal', `the plan reads ${plan.schema}.${plan.name}, which the catalog does not hold`);
  if (relation.kind === 'p' && segments.length > 0)
    throw new DbbackupError('internal', `${plan.schema}.${plan.name} is partitioned and has rows of its own`);
  return {
    oid: relation.oid,
    schema: relation.schema,
    name: relation.name,
    kind: relation.kind,
    partitionRootOid: relation.partitionRootOid,
    isRootNeeded: relation.isRootNeeded,
    snapshot: reading.snapshot.number,
    columns: relation.columns.map((column) => column.name),
    condition: relation.condition,
    format: plan.format,
    formatReason: plan.formatReason,
    readMethod: plan.readMethod,
    readReason: plan.readReason,
    ...addUp(segments),
  };
};

/** Rows in segments: a relation's or a stream's. */
const addUp = (segments: readonly ManifestSegment[]): ManifestStream => ({
  rowCount: sum(segments, (segment) => segment.rowCount),
  rawBytes: sum(segments, (segment) => segment.rawBytes),
  storedBytes: sum(segments, (segment) => segment.storedBytes),
  digest: sumDigests(segments.map((segment) => segment.digest)),
  segments,
});

/** Null where there are none, or none were to be read. */
const toLargeObjects = ({ catalog }: ReadingFacts, segments: SegmentsByOwner): ManifestLargeObjects | null => {
  const metadata = segments.get('metadata');
  if (catalog.largeObjects === null || metadata === undefined) return null;
  const { objectCount, pageSizeBytes } = catalog.largeObjects;
  const readMethod = toReadMethod(catalog.largeObjects);
  return { objectCount, pageSizeBytes, readMethod, content: addUp(segments.get('content') ?? []), metadata: addUp(metadata) };
};

/** Partitioned tables are recorded for their names: their partitions' rows can be loaded and compared through them. Skipped relations say so. */
const toRowlessPlan = (relation: Relation, skipped: ReadonlyMap<number, string>): RelationReading => {
  const reason = relation.kind === 'p' ? 'a partitioned table holds no rows of its own' : skipped.get(relation.oid);
  if (reason === undefined) throw new DbbackupError('internal', `the plan leaves out ${relation.schema}.${relation.name}`);
  return { schema: relation.schema, name: relation.name, format: 'text', formatReason: reason, readMethod: 'whole', readReason: reason };
};

const sum = <T>(items: readonly T[], toNumber: (item: T) => number): number => items.reduce((total, item) => total + toNumber(item), 0);
