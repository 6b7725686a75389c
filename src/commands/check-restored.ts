import { introspect } from '../catalog/introspect.js';
import type { Relation } from '../catalog/model.js';
import { displayName } from '../catalog/names.js';
import { prelude } from '../catalog/prelude.js';
import type { Emit } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import { runTasks } from '../engine/executor.js';
import { withProgress } from '../engine/progress.js';
import { sumDigests, zeroDigest } from '../manifest/digest.js';
import type { ManifestDatabase, ManifestLargeObjects, ManifestRelation } from '../manifest/schema.js';
import type { CopyOutSource, CopyOutTask, SessionSpec } from '../native/engine.js';
import type { Session } from '../native/session.js';
import { planBackup } from '../planner/backup-plan.js';
import { toCopyOut } from '../planner/copy-statements.js';
import { largeObjectFormats, toLargeObjectCopyOut } from '../planner/large-object-statements.js';
import { largeObjectNames } from '../planner/large-objects.js';
import { isRelationChunk, type LargeObjectStream } from '../planner/plan.js';
import { toReadingSession } from './copy-sources.js';
import { defaults } from './options.js';
import { withEngine } from './settings.js';

export interface CheckOptions {
  /** Connected to the restored database. */
  readonly session: Session;
  /** What was backed up. */
  readonly database: ManifestDatabase;
  /** The partitioned table that a relation's rows went through; null where they went into the relation itself. */
  readonly rootOf: (relation: ManifestRelation) => ManifestRelation | null;
  /** Whether large objects got their owners and grants back, so that these are to be compared. */
  readonly areLargeObjectsOwned: boolean;
  readonly worker: SessionSpec;
  readonly jobs: number;
  readonly memoryLimitBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly emit: Emit;
}

/**
 * Reads every restored relation and the large objects as the backup read them and compares rows and digests; a partition tree is compared as a whole, since the target may have routed
 * rows to other partitions. Where rows went through a root, all of its partitions count, whatever their names. Resolves with the number of relations. Errors: `content_differs` naming the first relation and how many there are.
 */
export const checkRestored = async (options: CheckOptions): Promise<number> => {
  const { session, database, worker, jobs, memoryLimitBytes, signal, emit } = options;
  for (const sql of prelude('UTF8')) await session.query(sql);
  await session.query('BEGIN READ ONLY');
  const catalog = await introspect(session);
  await session.query('COMMIT');
  const expected = new Map(database.relations.filter(({ kind }) => kind !== 'p').map((relation) => [keyOf(relation), relation]));
  /** Of each root that rows went through one partition of the backup: how to read any of the target's. */
  const through = new Map<string, ManifestRelation>();
  for (const relation of database.relations) {
    const root = relation.kind === 'p' ? null : options.rootOf(relation);
    if (root !== null) through.set(keyOf(root), relation);
  }
  const plan = planBackup(catalog, { jobs, chunkSizeBytes: defaults.chunkSizeBytes, format: 'text' });
  const restored = new Map(catalog.relations.map((relation) => [relation.oid, relation]));
  /** What a relation of the target is compared with, and the name under which its rows are added up. */
  const find = (relation: Relation): { readonly saved: ManifestRelation; readonly key: string } | null => {
    const top = keyOf(restored.get(relation.partitionRootOid ?? relation.oid) ?? relation);
    const partition = through.get(top);
    if (partition !== undefined) return { saved: partition, key: top };
    const saved = expected.get(keyOf(relation));
    return saved === undefined || options.rootOf(saved) !== null ? null : { saved, key: keyOf(saved) };
  };

  const tasks = plan.tasks.map((planned) => {
    const sources = planned.chunks.flatMap((chunk): readonly (CopyOutSource & { readonly key: string })[] => {
      if (!isRelationChunk(chunk)) {
        const { largeObjects } = database;
        if (largeObjects === null || (chunk.stream === 'metadata' && !options.areLargeObjectsOwned)) return [];
        const statements = toLargeObjectCopyOut(chunk, largeObjects, largeObjects.readMethod);
        return [{ key: toStreamKey(chunk.stream), name: chunk.name, format: largeObjectFormats[chunk.stream], ...statements }];
      }
      const relation = restored.get(plan.relations[chunk.relation]?.oid ?? 0);
      const match = relation === undefined ? null : find(relation);
      // What the backup does not hold was made by an extension of the target, or was there before.
      if (relation === undefined || match === null) return [];
      const { saved, key } = match;
      const columns = saved.columns.map((name) => relation.columns.find((column) => column.name === name));
      if (columns.some((column) => column === undefined)) throw differs([displayName(saved)]);
      // The condition is the target's own: text from a manifest never becomes SQL.
      if ((saved.condition ?? '') !== (relation.condition ?? '')) throw differs([displayName(saved)]);
      const ordered = { ...relation, columns: columns.filter((column) => column !== undefined) };
      const { copySql } = toCopyOut(ordered, saved.format, chunk, database.encoding);
      return [{ key, name: chunk.name, format: saved.format, copySql, lockSql: null, checkSql: null, checkExpected: null }];
    });
    const { taskId } = planned;
    const session = toReadingSession(worker, planned.chunks);
    const spec: CopyOutTask = { kind: 'copyOut', taskId, session, sources: sources.map(({ key: _, ...source }) => source), sink: null };
    return { spec, origin: { taskId, keys: sources.map(({ key }) => key) } };
  });

  const found = new Map<string, { rowCount: number; digest: string }>();
  await withEngine({ jobs, memoryLimitBytes, signal }, (engine) =>
    withProgress(
      {
        engine,
        emit,
        estimatedRawBytes: plan.estimatedRawBytes,
        nameOf: (taskId, source) => tasks[taskId - 1]?.spec.sources[source]?.name ?? '',
      },
      () =>
        runTasks(engine, tasks, jobs, {
          onStarted: () => undefined,
          onFinished: async ({ origin }, { segments }) => {
            for (const { source, rowCount, digest } of segments) addTo(found, origin.keys[source] ?? '', rowCount, digest);
          },
          onFailed: ({ spec, origin }, error) => {
            emit({
              type: 'chunk.failed',
              taskId: origin.taskId,
              name: spec.sources[0]?.name ?? '',
              code: error.code,
              message: error.message,
            });
          },
        }),
    ),
  );
  compare(database.relations, found, options.rootOf);
  compareLargeObjects(database.largeObjects, found, options.areLargeObjectsOwned);
  return database.relations.filter(({ kind }) => kind !== 'p').length;
};

/**
 * Pages can be compared only by a role that may read them: asked before a restore begins, for its end would be late. Errors: `permission_denied` with the statement to run.
 */
export const checkComparable = async (session: Session, largeObjects: ManifestLargeObjects | null): Promise<void> => {
  if (largeObjects?.readMethod !== 'pages') return;
  const { rows } = await session.query(
    "SELECT pg_catalog.quote_ident(current_user) WHERE NOT pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')",
  );
  const role = rows[0]?.[0];
  if (role === undefined || role === null) return;
  throw new DbbackupError(
    'permission_denied',
    `role ${role} may not read pg_largeobject at the target, so --check cannot compare large objects`,
    {
      details: {
        object: 'pg_catalog.pg_largeobject',
        hint: `Run in the target database: GRANT SELECT ON TABLE pg_catalog.pg_largeobject TO ${role}; Or restore without --check.`,
      },
    },
  );
};

interface Sum {
  rowCount: number;
  digest: string;
}

const nothing: Sum = { rowCount: 0, digest: zeroDigest };

const addTo = (sums: Map<string, Sum>, key: string, rowCount: number, digest: string): void => {
  const sum = sums.get(key);
  sums.set(key, sum === undefined ? { rowCount, digest } : { rowCount: sum.rowCount + rowCount, digest: sumDigests([sum.digest, digest]) });
};

const keyOf = ({ schema, name }: { readonly schema: string; readonly name: string }): string => JSON.stringify([schema, name]);

/** No relation's key, since that is a list. */
const toStreamKey = (stream: LargeObjectStream): string => JSON.stringify(largeObjectNames[stream]);

const displayKey = (key: string): string => {
  const [schema = '', name = ''] = JSON.parse(key) as readonly string[];
  return displayName({ schema, name });
};

const compare = (relations: readonly ManifestRelation[], found: ReadonlyMap<string, Sum>, rootOf: CheckOptions['rootOf']): void => {
  const wantedSums = new Map<string, Sum>();
  const foundSums = new Map<string, Sum>();
  const roots = new Map(relations.map((relation) => [relation.oid, relation]));
  for (const relation of relations) {
    if (relation.kind === 'p') continue;
    const through = rootOf(relation);
    const key = keyOf(through ?? roots.get(relation.partitionRootOid ?? 0) ?? relation);
    addTo(wantedSums, key, relation.rowCount, relation.digest);
    // A root without partitions was not read at all.
    const sum = through === null ? found.get(keyOf(relation)) : foundSums.has(key) ? undefined : (found.get(key) ?? nothing);
    if (sum !== undefined) addTo(foundSums, key, sum.rowCount, sum.digest);
  }
  const different = [...wantedSums].filter(
    ([key, wanted]) => foundSums.get(key)?.rowCount !== wanted.rowCount || foundSums.get(key)?.digest !== wanted.digest,
  );
  if (different.length > 0) throw differs(different.map(([key]) => displayKey(key)));
};

const compareLargeObjects = (largeObjects: ManifestLargeObjects | null, found: ReadonlyMap<string, Sum>, areOwned: boolean): void => {
  if (largeObjects === null) return;
  for (const stream of areOwned ? (['content', 'metadata'] as const) : (['content'] as const)) {
    const { rowCount, digest } = largeObjects[stream];
    const sum = found.get(toStreamKey(stream));
    if (sum?.rowCount !== rowCount || sum.digest !== digest) throw differs([largeObjectNames[stream]]);
  }
};

const differs = (names: readonly string[]): DbbackupError =>
  new DbbackupError(
    'content_differs',
    `the restored rows of ${names[0]} differ from the backup${names.length > 1 ? `, and those of ${names.length - 1} more` : ''}`,
    {
      details: { object: names[0] ?? '' },
    },
  );
