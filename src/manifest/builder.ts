import type { Catalog, Relation } from '../catalog/model.js';
import { DbbackupError } from '../core/errors.js';
import type { Event } from '../core/events.js';
import type { CodecName } from '../core/results.js';
import { toReadMethod } from '../planner/large-object-statements.js';
import { type BackupPlan, isRelationChunk, type LargeObjectStream, type PlannedTask, type RelationPlan } from '../planner/plan.js';
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
  /** At least one. */
  readonly databases: readonly DatabaseFacts[];
  /** Roles and tablespaces: of a cluster alone. */
  readonly globals: ManifestArchive | null;
  /** All tasks of all databases' plans, numbered over all. */
  readonly tasks: readonly QueuedTask[];
}

/** What is known of one database of a run. */
export interface DatabaseFacts {
  /** From 1, within the backup. */
  readonly number: number;
  readonly name: string;
  /** From 1: databases of one wave have their snapshots held at the same time. */
  readonly wave: number;
  readonly catalog: Catalog;
  /** Of the relations of `catalog`; partitioned tables and skipped ones are recorded without rows. */
  readonly plan: BackupPlan;
  readonly snapshot: ManifestSnapshot;
  readonly schema: ManifestArchive;
}

type RelationReading = Pick<RelationPlan, 'schema' | 'name' | 'format' | 'formatReason' | 'readMethod' | 'readReason'>;

/** The index of a relation in its plan, or a stream of large objects. */
type SegmentOwner = number | LargeObjectStream;
type SegmentsByOwner = ReadonlyMap<SegmentOwner, readonly ManifestSegment[]>;
/** By the database's number. */
type SegmentsByDatabase = ReadonlyMap<number, SegmentsByOwner>;

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
  #collectData(facts: ManifestFacts): { readonly files: readonly ManifestFile[]; readonly segments: SegmentsByDatabase } {
    const files: ManifestFile[] = [];
    const byDatabase = new Map(facts.databases.map(({ number }) => [number, new Map<SegmentOwner, ManifestSegment[]>()]));
    for (const task of facts.tasks) {
      const segments = byDatabase.get(task.database);
      if (segments === undefined) throw new DbbackupError('internal', `task ${task.taskId} reads database ${task.database}`);
      const event = this.#finished.get(task.taskId);
      if (event === undefined) throw new DbbackupError('backup_unfinished', `task ${task.taskId} has not finished`);
      const firstFile = files.length;
      for (const file of event.files ?? []) {
        files.push({
          path: `${backupNames.dataFolder}/${file.path}`,
          sizeBytes: file.sizeBytes,
          checksum: file.checksum,
          codec: facts.codec,
          attempt: readAttempt(file.path),
        });
      }
      for (const { source, file, ...range } of event.segments ?? []) {
        const owner = toOwner(task, source);
        if (file < 0 || file >= files.length - firstFile)
          throw new DbbackupError('internal', `task ${task.taskId} has a segment in file ${file}, which it did not write`);
        const known = segments.get(owner) ?? [];
        known.push({ file: firstFile + file, ...range });
        segments.set(owner, known);
      }
    }
    return { files, segments: byDatabase };
  }
}

/** The Manifest of a run's Events. See ManifestBuilder. */
export const buildManifest = (facts: ManifestFacts, events: Iterable<Event>, finishedAt: string): Manifest => {
  const builder = new ManifestBuilder();
  for (const event of events) builder.add(event);
  return builder.build(facts, finishedAt);
};

const toOwner = (task: PlannedTask, source: number): SegmentOwner => {
  const chunk = task.chunks[source];
  if (chunk === undefined)
    throw new DbbackupError('internal', `task ${task.taskId} has a segment of chunk ${source}, which it does not hold`);
  return isRelationChunk(chunk) ? chunk.relation : chunk.stream;
};

const toManifest = (facts: ManifestFacts, finishedAt: string, files: readonly ManifestFile[], segments: SegmentsByDatabase): Manifest => {
  const { options } = facts;
  const server = facts.databases[0]?.catalog.server;
  if (server === undefined) throw new DbbackupError('internal', 'the run holds no database');
  const databases = facts.databases.map((database) => toDatabase(database, segments.get(database.number) ?? new Map()));
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
    consistency: 'exact',
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

const toDatabase = (facts: DatabaseFacts, segments: SegmentsByOwner): ManifestDatabase => {
  const { catalog, plan } = facts;
  const known = new Map(catalog.relations.map((relation) => [relation.oid, relation]));
  const planned = plan.relations.map((relation, index) => toRelation(facts, relation, known.get(relation.oid), segments.get(index) ?? []));
  const plannedOids = new Set(plan.relations.map((relation) => relation.oid));
  const skipped = new Map(plan.skipped.map(({ oid, reason }) => [oid, reason]));
  const rowless = catalog.relations
    .filter(({ oid }) => !plannedOids.has(oid))
    .map((relation) => toRelation(facts, toRowlessPlan(relation, skipped), relation, []));
  return {
    number: facts.number,
    ...catalog.database,
    searchPath: [...catalog.searchPath],
    name: facts.name,
    wave: facts.wave,
    snapshots: [facts.snapshot],
    schema: facts.schema,
    largeObjects: toLargeObjects(facts, segments),
    extensions: [...catalog.extensions],
    roles: [...catalog.roles],
    tablespaces: [...catalog.tablespaces],
    schemas: catalog.schemas.map(({ oid, name }) => ({ oid, name })),
    relations: [...planned, ...rowless],
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

const toRelation = (
  facts: DatabaseFacts,
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
    snapshot: facts.snapshot.number,
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
const toLargeObjects = ({ catalog }: DatabaseFacts, segments: SegmentsByOwner): ManifestLargeObjects | null => {
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
