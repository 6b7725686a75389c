import { join } from 'node:path';
import { displayName } from '../catalog/names.js';
import { prelude } from '../catalog/prelude.js';
import { createEmit, type Emit, systemClock } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import { runTasks, toTasks } from '../engine/executor.js';
import { withProgress } from '../engine/progress.js';
import type { Manifest, ManifestDatabase } from '../manifest/schema.js';
import { checkFilesPresent, readManifest } from '../manifest/store.js';
import type { CopyInTask, Engine } from '../native/engine.js';
import { hashFile } from '../native/hash-file.js';
import { measureMemory, processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { planRestore, type RestorePlan, type RestoreTask, type SegmentRef } from '../planner/restore-plan.js';
import { Quoting, toCopyFrom, toFinishStatements } from '../restore-kit/sql.js';
import { nameInBackup } from '../storage/layout.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import type { LocalStorage } from '../storage/storage.js';
import { groupPostData, type PostDataGroups } from '../tools/archive-list.js';
import { chooseTool, findCompanion, findTools, toMajor } from '../tools/find-tools.js';
import {
  listArchive,
  type RestoreArchiveOptions,
  restoreEntries,
  restorePostData,
  restorePreData,
  restoreWhole,
} from '../tools/restore-archive.js';
import { type Tool, type ToolConnection, toToolConnection } from '../tools/tool.js';
import { analyze } from './analyze.js';
import { unpackSchema, withScratch } from './archives.js';
import { checkRestored } from './check-restored.js';
import { toConnectionSpec } from './connect.js';
import type { RestoreOptions, RestoreReport, RunContext } from './options.js';
import { toSameServer, withSession } from './sessions.js';
import { toBytesPerSecond, toJobs, withEngine } from './settings.js';
import { checkEmpty, prepareTarget } from './target.js';

/**
 * Restores a backup into a database that is empty, or created by it. Rows are proved equal to those that were read before their transaction commits.
 * A restore that fails leaves the target as far as it had come.
 *
 * Errors: `backup_not_found`, `backup_unfinished`, `manifest_damaged`, `data_damaged`, `target_not_empty`, `target_exists`, `tools_missing`, `tools_too_old`,
 * `tool_failed`, `type_missing`, `content_differs` (with `isChecking`), those of connecting, `cancelled`.
 */
export const restore = async (options: RestoreOptions, context: RunContext = {}): Promise<RestoreReport> => {
  const { signal } = context;
  const jobs = toJobs(options.jobs);
  const storage = openLocalStorage(options.outputDir);
  const { id } = await (await openRepository(storage)).findFinished(options.id);
  const manifest = await readManifest(storage, id);
  await checkFilesPresent(storage, manifest);
  const [database] = manifest.databases;
  if (database === undefined) throw new DbbackupError('manifest_damaged', `backup ${id} holds no database`, { details: { object: id } });
  const tools = await findTools({ names: ['pg_restore', 'psql'], binDir: options.pgBinDir, host: processHost, signal });

  const chooseTools = (serverVersion: number): Pick<RestoreArchiveOptions, 'pgRestore' | 'psql'> =>
    chooseRestoreTools(tools, Number.parseInt(database.schema.pgDumpVersion, 10), toMajor(serverVersion));
  await checkArchives(storage, id, database, signal);
  return withScratch(async (scratch) => {
    const archivePath = join(scratch, 'schema.dump');
    await unpackSchema(await storage.localPath(nameInBackup(id, database.schema.path)), archivePath);
    await prepareTarget(options, database, async (serverVersion) => void chooseTools(serverVersion), signal);
    return withSession(options.connection, { applicationName: `dbbackup ${id}`, signal }, async (session) => {
      await checkEmpty(session);
      const { serverVersion } = session.info();
      const archive: RestoreArchiveOptions = {
        ...chooseTools(serverVersion),
        connection: toLoadingConnection(session),
        targetMajor: toMajor(serverVersion),
        archivePath,
        host: processHost,
        signal,
      };
      return new RestoreRun({ id, manifest, database, options, context, jobs, storage, session, archive, scratch }).run();
    });
  });
};

/** A pg_restore that reads the archive and knows the server; one that is newer than the server needs its psql. */
const chooseRestoreTools = (
  tools: readonly Tool[],
  archiveMajor: number,
  targetMajor: number,
): Pick<RestoreArchiveOptions, 'pgRestore' | 'psql'> => {
  const pgRestore = chooseTool(tools, 'pg_restore', Math.max(targetMajor, archiveMajor));
  const psql = findCompanion(tools, pgRestore, 'psql');
  if (psql === null && pgRestore.major > targetMajor) {
    throw new DbbackupError('tools_missing', `psql was not found beside ${pgRestore.path}`, { details: { object: 'psql' } });
  }
  return { pgRestore, psql };
};

/** Proves the archives to be what was written, before anything is done to the target: pg_restore would believe them. */
const checkArchives = async (
  storage: LocalStorage,
  id: string,
  { schema, largeObjects }: ManifestDatabase,
  signal: AbortSignal | undefined,
): Promise<void> => {
  for (const { path, sha256 } of largeObjects === null ? [schema] : [schema, largeObjects]) {
    const storedPath = await storage.localPath(nameInBackup(id, path));
    if ((await hashFile(storedPath, 'sha256', { signal })) === sha256) continue;
    throw new DbbackupError('data_damaged', `${path} is not what was written: its SHA-256 differs`, {
      details: { object: path, path: storedPath },
    });
  }
};

/** For tools that write: commits need not wait for the disk one by one, since the last one of the restore does, for all before it. */
const toLoadingConnection = (session: Session): ToolConnection => {
  const { info, password } = toToolConnection(session);
  const options = `${info.options['options'] ?? ''} -c synchronous_commit=off`.trim();
  return { info: { ...info, options: { ...info.options, options } }, password };
};

interface RestoreParts {
  readonly id: string;
  readonly manifest: Manifest;
  readonly database: ManifestDatabase;
  readonly options: RestoreOptions;
  readonly context: RunContext;
  readonly jobs: number;
  readonly storage: LocalStorage;
  readonly session: Session;
  readonly archive: RestoreArchiveOptions;
  /** Private directory for the unpacked archive and lists. */
  readonly scratch: string;
}

/** One run: definitions, rows with the indexes of large relations beside them, all the rest, sequences, materialised views, statistics. */
class RestoreRun {
  readonly #parts: RestoreParts;
  readonly #startedMs = systemClock.monotonicMs();
  readonly #warnings: string[] = [];
  readonly #emit: Emit;

  constructor(parts: RestoreParts) {
    this.#parts = parts;
    this.#emit = createEmit([parts.context.onEvent]);
  }

  async run(): Promise<RestoreReport> {
    const { id, manifest, session, jobs, archive, scratch, database, storage } = this.#parts;
    this.#emit({ type: 'restore.started', id, database: session.info().database });
    const plan = planRestore(database.relations, { jobs });
    const large = plan.largeRelations.map(({ relation }) => database.relations[relation]?.oid ?? 0);
    const groups = groupPostData(await listArchive(archive), large);

    await this.#phase('pre-data', async () => this.#warn(await restorePreData(archive)));
    await this.#phase('data', () => this.#load(plan, groups));
    const { largeObjects } = database;
    if (largeObjects !== null) {
      const archivePath = await storage.localPath(nameInBackup(id, largeObjects.path));
      await this.#phase('large objects', async () => this.#warn(await restoreWhole({ ...archive, archivePath }, 'large objects')));
    }
    await this.#phase('post-data', async () =>
      this.#warn(await restorePostData(archive, { rest: groups.rest, jobs, listPath: join(scratch, 'rest.list') })),
    );
    await this.#phase('finish', () => this.#finish());
    const checkedRelationCount = await this.#check();

    const { rowCount, rawBytes, relationCount } = manifest.totals;
    const elapsedMs = Math.round(systemClock.monotonicMs() - this.#startedMs);
    const speed = { elapsedMs, bytesPerSecond: toBytesPerSecond(rawBytes, elapsedMs), peakRssBytes: measureMemory().peakRssBytes };
    this.#emit({ type: 'restore.finished', id, rowCount, rawBytes, ...speed });
    const report = { id, database: session.info().database, relationCount, rowCount, rawBytes, ...speed, warnings: this.#warnings };
    return checkedRelationCount === undefined ? report : { ...report, checkedRelationCount };
  }

  async #load(plan: RestorePlan, groups: PostDataGroups): Promise<void> {
    const { jobs, options, context, database } = this.#parts;
    const toTask = await this.#prepareTasks();
    const nameOf = (taskId: number, source: number): string => {
      const segment = plan.tasks[taskId - 1]?.segments[source];
      return segment === undefined ? '' : nameSegment(database, segment);
    };
    const builder = new IndexBuilder(plan, (relation) => this.#buildIndexes(relation, groups));
    await withEngine({ jobs, memoryLimitBytes: options.memoryLimitBytes, signal: context.signal }, (engine: Engine) =>
      withProgress({ engine, emit: this.#emit, estimatedRawBytes: plan.estimatedRawBytes, nameOf }, () =>
        runTasks(engine, toTasks(plan.tasks, toTask), jobs, {
          onStarted: ({ spec, origin }) => {
            this.#emit({ type: 'chunk.started', taskId: origin.taskId, name: nameTask(spec) });
          },
          onFinished: async ({ spec, origin }, { taskId, rawBytes, storedBytes, rowCount, elapsedMs }) => {
            this.#emit({ type: 'chunk.finished', taskId, name: nameTask(spec), rawBytes, storedBytes, rowCount, elapsedMs });
            await builder.finishTask(origin.taskId);
          },
          onFailed: ({ spec, origin }, error) => {
            this.#emit({
              type: 'chunk.failed',
              taskId: origin.taskId,
              name: error.details.object ?? nameTask(spec),
              code: error.code,
              message: error.message,
            });
          },
        }),
      ),
    );
    const missing =
      database.relations.length - new Set(plan.tasks.flatMap(({ segments }) => segments.map(({ relation }) => relation))).size;
    const rowless = database.relations.filter(({ segments }) => segments.length === 0).length;
    if (missing !== rowless) throw new DbbackupError('internal', `the restore plan leaves out ${missing - rowless} relations`);
  }

  /** Builds the indexes of a relation whose rows are complete. It takes the lane of the task that ended, so that no more than `jobs` things run at a time. */
  async #buildIndexes(index: number, groups: PostDataGroups): Promise<void> {
    const { database, archive, scratch } = this.#parts;
    const relation = database.relations[index];
    const entries = groups.byRelation.get(relation?.oid ?? 0);
    if (relation === undefined || entries === undefined) return;
    const what = `indexes of ${displayName(relation)}`;
    await this.#phase(what, async () =>
      this.#warn(await restoreEntries(archive, { entries, jobs: indexJobs, what, listPath: join(scratch, `relation-${index}.list`) })),
    );
  }

  async #prepareTasks() {
    const { id, manifest, database, options, session, storage } = this.#parts;
    const quoting = new Quoting(database.encoding);
    const paths = await Promise.all(manifest.files.map(({ path }) => storage.localPath(nameInBackup(id, path))));
    const worker = {
      key: 'load',
      connection: toConnectionSpec(options.connection, `dbbackup ${id}`, toSameServer(session)),
      // As in toLoadingConnection.
      setupSql: [...prelude(database.encoding, 'write'), 'SET synchronous_commit TO off', replicaRoleSql],
    };
    const toSegment = (ref: SegmentRef) => {
      const relation = database.relations[ref.relation];
      const segment = relation?.segments[ref.segment];
      const file = manifest.files[segment?.file ?? -1];
      const path = paths[segment?.file ?? -1];
      if (relation === undefined || segment === undefined || file === undefined || path === undefined)
        throw new DbbackupError('internal', 'the restore plan names a segment that is not there');
      const { offset, storedBytes, rawBytes, rowCount, digest } = segment;
      const name = nameSegment(database, ref);
      const sql = { beginSql: ['BEGIN'], copySql: toCopyFrom(quoting, relation), commitSql: 'COMMIT' };
      return { name, path, codec: file.codec, format: relation.format, offset, storedBytes, rawBytes, rowCount, digest, ...sql };
    };
    return (task: RestoreTask): CopyInTask => ({
      kind: 'copyIn',
      taskId: task.taskId,
      session: worker,
      segments: task.segments.map(toSegment),
    });
  }

  async #finish(): Promise<void> {
    const { session, database, jobs, options, context, id } = this.#parts;
    // What a view reads must be as in any session of the database's users, but for their time limits.
    const settings = ['RESET ALL', 'SET statement_timeout TO 0', 'SET lock_timeout TO 0', 'SET synchronous_commit TO off'];
    // Names are written in ASCII with escapes, so they mean the same under this session's encoding.
    for (const sql of [...settings, ...toFinishStatements(new Quoting(database.encoding), database)]) await session.query(sql);
    const sessions = { applicationName: `dbbackup ${id}`, signal: context.signal, overrides: toSameServer(session) };
    await analyze(session, jobs, (use) => withSession(options.connection, sessions, use));
    // A commit that writes to the catalog and waits for the disk: everything before it is durable, too.
    await session.query('SET synchronous_commit TO on');
    await session.query('CREATE TEMPORARY TABLE dbbackup_finished () ON COMMIT DROP');
  }

  async #check(): Promise<number | undefined> {
    const { options, context, database, session, jobs, id } = this.#parts;
    if (options.isChecking !== true) return undefined;
    let checked = 0;
    await this.#phase('check', async () => {
      const worker = {
        key: 'check',
        connection: toConnectionSpec(options.connection, `dbbackup ${id}`, toSameServer(session)),
        setupSql: prelude(database.encoding),
      };
      checked = await checkRestored({
        session,
        database,
        worker,
        jobs,
        memoryLimitBytes: options.memoryLimitBytes,
        signal: context.signal,
        emit: this.#emit,
      });
    });
    return checked;
  }

  async #phase(phase: string, run: () => Promise<void>): Promise<void> {
    const startedMs = systemClock.monotonicMs();
    this.#emit({ type: 'phase.started', phase });
    await run();
    this.#emit({ type: 'phase.finished', phase, elapsedMs: Math.round(systemClock.monotonicMs() - startedMs) });
  }

  #warn(messages: readonly string[]): void {
    for (const message of messages) {
      this.#warnings.push(message);
      this.#emit({ type: 'warning', message });
    }
  }
}

/**
 * Triggers and foreign keys exist before the rows only on extension configuration tables; rows are to come back as they were. As in pg_dump's --disable-triggers
 * this takes a superuser.
 */
const replicaRoleSql =
  "SELECT pg_catalog.set_config('session_replication_role', 'replica', false) FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper";

/** Indexes of one relation that are built at the same time: the last relation of a restore has the machine to itself. */
const indexJobs = 2;

/** Knows which large relations are complete when a task ends. */
class IndexBuilder {
  readonly #waiting: { readonly relation: number; readonly taskIds: Set<number> }[];
  readonly #build: (relation: number) => Promise<void>;

  constructor(plan: RestorePlan, build: (relation: number) => Promise<void>) {
    this.#waiting = plan.largeRelations.map(({ relation, taskIds }) => ({ relation, taskIds: new Set(taskIds) }));
    this.#build = build;
  }

  /** Builds what the end of this task completes, and resolves when that is done. */
  async finishTask(taskId: number): Promise<void> {
    for (const { relation, taskIds } of this.#waiting) {
      if (taskIds.delete(taskId) && taskIds.size === 0) await this.#build(relation);
    }
  }
}

const nameSegment = (database: ManifestDatabase, { relation: index, segment }: SegmentRef): string => {
  const relation = database.relations[index];
  if (relation === undefined) return '';
  const part = relation.segments.length > 1 ? ` segment ${segment + 1}/${relation.segments.length}` : '';
  return `${displayName(relation)}${part}`;
};

const nameTask = ({ segments }: CopyInTask): string => {
  const [first] = segments;
  return first === undefined || segments.length === 1 ? (first?.name ?? '') : `${first.name} and ${segments.length - 1} more`;
};
