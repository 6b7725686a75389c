import { randomInt } from 'node:crypto';
import { hostname } from 'node:os';
import type { HeldSnapshot, Leader } from '../catalog/leader.js';
import { withSnapshot } from '../catalog/leader.js';
import { prelude } from '../catalog/prelude.js';
import { createLocalLeader } from '../catalog/snapshot.js';
import { createEmit, type Emit, systemClock } from '../core/context.js';
import { toDbbackupError } from '../core/errors.js';
import { readToolVersion } from '../core/version.js';
import { runTasks, toTasks } from '../engine/executor.js';
import { withProgress } from '../engine/progress.js';
import { ManifestBuilder } from '../manifest/builder.js';
import { createJournal, type Journal } from '../manifest/journal.js';
import type { Manifest, ManifestArchive } from '../manifest/schema.js';
import { publishManifest } from '../manifest/store.js';
import type { CopyOutTask, Engine } from '../native/engine.js';
import { measureMemory, processHost, processId } from '../native/host.js';
import type { Session } from '../native/session.js';
import { planBackup } from '../planner/backup-plan.js';
import { toCopyOut } from '../planner/copy-statements.js';
import type { BackupPlan, PlannedTask } from '../planner/plan.js';
import { writeRestoreKit } from '../restore-kit/restore-kit.js';
import { backupNames, dataExtension, dataStem, nameInBackup, newBackupId } from '../storage/layout.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openOrCreateRepository } from '../storage/repository.js';
import type { LocalStorage } from '../storage/storage.js';
import { dumpLargeObjects, dumpSchema } from '../tools/dump-schema.js';
import { chooseTool, findTools, toMajor } from '../tools/find-tools.js';
import { type Tool, toToolConnection } from '../tools/tool.js';
import { storeLargeObjects, storeSchema } from './archives.js';
import { toConnectionSpec } from './connect.js';
import { nameLargestRow } from './largest-row.js';
import type { BackupOptions, BackupReport, RunContext } from './options.js';
import { toSameServer, withSession } from './sessions.js';
import { toBackupSettings, toBytesPerSecond, withEngine } from './settings.js';
import { verify } from './verify.js';

/**
 * Backs up one database under one snapshot. The backup exists once its manifest is written, which is the last thing that happens; a run that fails before leaves
 * its journal and finished files behind, listed as unfinished.
 *
 * Errors: those of connecting, `permission_denied`, `lock_not_available`, `relation_changed`, `tools_missing`, `tools_too_old`, `tool_failed`, `disk_full`,
 * `not_writable`, `not_a_repository`, `row_too_large`, `page_damaged`, `memory_limit_too_small`, `cancelled`.
 */
export const backup = async (options: BackupOptions, context: RunContext = {}): Promise<BackupReport> => {
  const settings = toBackupSettings(options);
  const { signal } = context;
  // They are looked for while the session connects. An error of connecting comes first.
  const finding = findTools({ names: ['pg_dump'], binDir: options.pgBinDir, host: processHost, signal });
  finding.catch(() => undefined);
  return withSession(options.connection, { applicationName: 'dbbackup', signal }, async (session) => {
    const pgDump = chooseTool(await finding, 'pg_dump', toMajor(session.info().serverVersion));
    const storage = openLocalStorage(options.outputDir);
    await openOrCreateRepository(storage);
    const id = newBackupId(session.info().database, new Date(systemClock.nowMs()), randomInt);
    const run = new BackupRun({ id, options, settings, context, session, pgDump, storage, journal: await createJournal(storage, id) });
    const report = await run.run();
    if (options.isVerifying !== true) return report;
    const { jobs, memoryLimitBytes } = options;
    const verified = await verify(
      {
        id,
        outputDir: options.outputDir,
        ...(jobs === undefined ? {} : { jobs }),
        ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
      },
      context,
    );
    return { ...report, verified };
  });
};

interface BackupParts {
  readonly id: string;
  readonly options: BackupOptions;
  readonly settings: ReturnType<typeof toBackupSettings>;
  readonly context: RunContext;
  readonly session: Session;
  readonly pgDump: Tool;
  readonly storage: LocalStorage;
  readonly journal: Journal;
}

/** One run: snapshot, schema, plan, rows, manifest. */
class BackupRun {
  readonly #parts: BackupParts;
  readonly #startedMs = systemClock.monotonicMs();
  readonly #startedAt = new Date(systemClock.nowMs()).toISOString();
  readonly #warnings: string[] = [];
  /** Settles when the last Event is on disk. */
  #journalled: Promise<void> = Promise.resolve();
  /** Tells the listener and the journal. An error of the journal surfaces at the next Event that is waited for, and when it is closed. */
  readonly #record: Emit;

  constructor(parts: BackupParts) {
    this.#parts = parts;
    this.#record = createEmit([
      parts.context.onEvent,
      (event) => {
        this.#journalled = parts.journal.append(event);
      },
    ]);
  }

  async run(): Promise<BackupReport> {
    const { id, storage, session, journal, context } = this.#parts;
    this.#record({
      type: 'backup.started',
      id,
      database: session.info().database,
      repository: storage.location,
      pid: processId,
      host: hostname(),
      toolVersion: readToolVersion(),
    });
    let manifest: Manifest;
    try {
      const leader = createLocalLeader(session);
      manifest = await withSnapshot(leader, {}, (held) => this.#save(leader, held));
      // A journal that could not be written must not have a manifest beside it.
      await this.#journalled;
      await writeRestoreKit(storage, manifest);
      await publishManifest(storage, manifest);
    } catch (cause) {
      await this.#fail(cause);
      throw cause;
    }
    await journal.close();

    const { rowCount, rawBytes, storedBytes, relationCount, fileCount } = manifest.totals;
    const elapsedMs = Math.round(systemClock.monotonicMs() - this.#startedMs);
    const speed = { elapsedMs, bytesPerSecond: toBytesPerSecond(rawBytes, elapsedMs), peakRssBytes: measureMemory().peakRssBytes };
    createEmit([context.onEvent])({ type: 'backup.finished', id, rowCount, rawBytes, storedBytes, ...speed });
    const manifestPath = await storage.localPath(nameInBackup(id, backupNames.manifest));
    return {
      id,
      repository: storage.location,
      manifestPath,
      rowCount,
      rawBytes,
      storedBytes,
      relationCount,
      fileCount,
      ...speed,
      warnings: this.#warnings,
    };
  }

  async #save(leader: Leader, held: HeldSnapshot): Promise<Manifest> {
    const { id, options, settings, session, pgDump, storage, context } = this.#parts;
    const { catalog, snapshot, lsn, takenAt } = held;
    this.#record({ type: 'snapshot.taken', snapshot, lsn, relationCount: catalog.relations.length });
    this.#warn(catalog.warnings);

    const target = { storage, id, database: 1, pgDumpVersion: pgDump.version, signal: context.signal };
    const dump = { pgDump, connection: toToolConnection(session), snapshot, host: processHost, signal: context.signal };
    const schema = await storeSchema(target, (outPath) => dumpSchema({ ...dump, outPath }));
    this.#warn(schema.warnings);
    this.#record({ type: 'schema.dumped', path: schema.archive.path, sizeBytes: schema.archive.sizeBytes, sha256: schema.archive.sha256 });
    let largeObjects: ManifestArchive | null = null;
    if (catalog.largeObjectCount > 0) {
      const stored = await storeLargeObjects(target, (outPath) => dumpLargeObjects({ ...dump, outPath }));
      this.#warn(stored.warnings);
      largeObjects = stored.archive;
    }

    const plan = planBackup(catalog, settings);
    this.#warn(plan.skipped.map((relation) => `${relation.schema}.${relation.name} is saved without rows: ${relation.reason}`));
    this.#record({
      type: 'plan.ready',
      taskCount: plan.tasks.length,
      relationCount: plan.relations.length,
      estimatedRawBytes: plan.estimatedRawBytes,
      binaryRelationCount: plan.relations.filter(({ format }) => format === 'binary').length,
      splitRelationCount: plan.relations.filter(({ chunkCount }) => chunkCount > 1).length,
    });
    const builder = new ManifestBuilder({
      id,
      tool: { name: 'dbbackup', version: readToolVersion() },
      startedAt: this.#startedAt,
      options: {
        compression: settings.compressionName,
        chunkSizeBytes: settings.chunkSizeBytes,
        format: settings.format,
        checksum: settings.checksum,
        jobs: settings.jobs,
      },
      codec: settings.codec,
      catalog,
      plan,
      snapshot: { number: 1, id: snapshot, lsn, takenAt },
      schema: schema.archive,
      largeObjects,
    });
    const { jobs } = settings;
    // The pool is measured against the limit here, after pg_dump's output has passed.
    await withEngine({ jobs, memoryLimitBytes: options.memoryLimitBytes, signal: context.signal }, (engine) =>
      this.#copy(engine, held, plan, builder),
    );
    await leader.checkSnapshot();
    return builder.build(new Date(systemClock.nowMs()).toISOString());
  }

  async #copy(engine: Engine, held: HeldSnapshot, plan: BackupPlan, builder: ManifestBuilder): Promise<void> {
    const { settings, session } = this.#parts;
    const toTask = await this.#prepareTasks(held, plan);
    const nameOf = (taskId: number, source: number): string => plan.tasks[taskId - 1]?.chunks[source]?.name ?? `task ${taskId}`;
    const run = (): Promise<void> =>
      runTasks(engine, toTasks(plan.tasks, toTask), settings.jobs, {
        onStarted: ({ origin }) => {
          this.#record({ type: 'chunk.started', taskId: origin.taskId, name: nameTask(origin) });
        },
        onFinished: async ({ origin }, { taskId, rawBytes, storedBytes, rowCount, elapsedMs, files, segments }) => {
          const event = this.#record({
            type: 'chunk.finished',
            taskId,
            name: nameTask(origin),
            rawBytes,
            storedBytes,
            rowCount,
            elapsedMs,
            files,
            segments,
          });
          builder.add(event);
          await this.#journalled;
        },
        onFailed: ({ origin }, error) => {
          this.#record({
            type: 'chunk.failed',
            taskId: origin.taskId,
            name: error.details.object ?? nameTask(origin),
            code: error.code,
            message: error.message,
          });
        },
        // Nothing is stored any more, since there will be no backup: the other relations of the task are read to find out whether they can be.
        toRest: (spec, { details: { object } }) => {
          const failed = spec.sources.findIndex(({ name }) => name === object);
          const sources = spec.sources.slice(failed + 1);
          return failed === -1 || sources.length === 0 ? null : { ...spec, sources, sink: null };
        },
      });
    try {
      await withProgress(
        { engine, emit: createEmit([this.#parts.context.onEvent]), estimatedRawBytes: plan.estimatedRawBytes, nameOf },
        run,
      );
    } catch (error) {
      throw await nameLargestRow(session, held.catalog, plan, toDbbackupError(error));
    }
  }

  /** What turns a planned task into one for the engine: at most one exists for each job at a time. */
  async #prepareTasks(held: HeldSnapshot, plan: BackupPlan) {
    const { id, options, settings, session, storage } = this.#parts;
    const { catalog, snapshot } = held;
    const { encoding } = catalog.database;
    const relations = new Map(catalog.relations.map((relation) => [relation.oid, relation]));
    const directory = await storage.createFolder(nameInBackup(id, backupNames.dataFolder));
    const worker = {
      key: snapshot,
      connection: toConnectionSpec(options.connection, `dbbackup ${id}`, toSameServer(session)),
      setupSql: [
        ...prelude(encoding),
        'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
        `SET TRANSACTION SNAPSHOT '${snapshot.replaceAll("'", "''")}'`,
      ],
    };
    return (task: PlannedTask): CopyOutTask => ({
      kind: 'copyOut',
      taskId: task.taskId,
      session: worker,
      sources: task.chunks.map((chunk) => {
        const planned = plan.relations[chunk.relation];
        const relation = relations.get(planned?.oid ?? -1);
        if (planned === undefined || relation === undefined)
          throw new Error(`the plan reads relation ${chunk.relation}, which the catalog does not hold`);
        return { name: chunk.name, format: planned.format, ...toCopyOut(relation, planned.format, chunk, encoding) };
      }),
      sink: {
        directory,
        stem: dataStem(task.taskId, 1),
        extension: dataExtension(settings.codec),
        codec: settings.codec,
        level: settings.level,
        checksum: settings.checksum,
        maxStoredBytes: settings.chunkSizeBytes,
        isDirect: true,
      },
    });
  }

  #warn(messages: readonly string[]): void {
    for (const message of messages) {
      this.#warnings.push(message);
      this.#record({ type: 'warning', message });
    }
  }

  /** Notes the failure in the journal. The failure is what the caller learns; a journal that cannot be written either is attached nowhere: the disk's error is the first. */
  async #fail(cause: unknown): Promise<void> {
    const { code, message, hint } = toDbbackupError(cause);
    this.#record({ type: 'run.failed', code, message, ...(hint === undefined ? {} : { hint }) });
    await this.#parts.journal.close().catch(() => undefined);
  }
}

const nameTask = ({ chunks }: PlannedTask): string => {
  const [first] = chunks;
  return first === undefined || chunks.length === 1 ? (first?.name ?? '') : `${first.name} and ${chunks.length - 1} more`;
};
