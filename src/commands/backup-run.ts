import { hostname } from 'node:os';
import { readLockQueue } from '../catalog/activity.js';
import { withSnapshots } from '../catalog/leader.js';
import type { QuerySession } from '../catalog/rows.js';
import { createEmit, type Emit, systemClock } from '../core/context.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import { readToolVersion } from '../core/version.js';
import { runTasks, toTasks } from '../engine/executor.js';
import { type Amount, noAmount, withProgress } from '../engine/progress.js';
import { type DatabaseFacts, ManifestBuilder } from '../manifest/builder.js';
import type { Journal } from '../manifest/journal.js';
import type { Manifest, ManifestArchive, ManifestOptions } from '../manifest/schema.js';
import { publishManifest } from '../manifest/store.js';
import type { CopyOutTask, Engine } from '../native/engine.js';
import { measureMemory, processId } from '../native/host.js';
import type { PlannedTask } from '../planner/plan.js';
import { type QueuedTask, queueTasks } from '../planner/queue.js';
import { writeRestoreKit } from '../restore-kit/restore-kit.js';
import { backupNames, dataExtension, dataStem, nameInBackup } from '../storage/layout.js';
import type { LocalStorage } from '../storage/storage.js';
import type { Tool } from '../tools/tool.js';
import { DatabaseBackup, type RunParts } from './backup-database.js';
import type { GlobalsBackup } from './backup-globals.js';
import type { BackupSource } from './backup-source.js';
import { DiskWatch } from './disk-watch.js';
import { LockCourtesy } from './lock-courtesy.js';
import { nameLeader } from './name-database.js';
import { type BackupOptions, type BackupReport, defaults, type RunContext } from './options.js';
import { createRunWatch, toTimeLimitMs, toTimeoutError } from './run-watch.js';
import { type toBackupSettings, toBytesPerSecond, withEngine } from './settings.js';
import { createTaskRetries } from './task-retries.js';
import { type WaveMember, withWave } from './wave.js';

export interface BackupParts {
  readonly id: string;
  /** What the run is about, for its first Event. */
  readonly title: string;
  readonly options: BackupOptions;
  readonly settings: ReturnType<typeof toBackupSettings>;
  readonly context: RunContext;
  readonly kind: Manifest['kind'];
  /** Databases whose snapshots are held at the same time; one wave after the other. */
  readonly waves: readonly (readonly BackupSource[])[];
  /** Saves what belongs to no database; null where nothing does. */
  readonly globals: GlobalsBackup | null;
  /** What is known to be missing before anything is read. */
  readonly warnings?: readonly string[];
  readonly pgDump: Tool;
  readonly storage: LocalStorage;
  readonly journal: Journal;
}

/** One run: snapshots, schemas, plans, one queue of tasks, rows, manifest. */
export class BackupRun {
  readonly #parts: BackupParts;
  readonly #startedMs = systemClock.monotonicMs();
  readonly #startedAt = new Date(systemClock.nowMs()).toISOString();
  readonly #warnings: string[] = [];
  #builder = new ManifestBuilder();
  readonly #databases: DatabaseFacts[] = [];
  readonly #tasks: QueuedTask[] = [];
  #globals: ManifestArchive | null = null;
  /** The run has failed in a way that can be continued: its keepers stay. */
  #areKeepersLeft = false;
  /** By finished tasks. */
  #done: Amount = noAmount;
  /** Settles when the last Event is on disk. */
  #journalled: Promise<void> = Promise.resolve();
  /** Tells the listener and the journal. An error of the journal surfaces at the next Event that is waited for, and when it is closed. */
  readonly #record: Emit;
  readonly #courtesy: LockCourtesy;

  constructor(parts: BackupParts) {
    this.#parts = parts;
    this.#record = createEmit([
      parts.context.onEvent,
      (event) => {
        this.#journalled = parts.journal.append(event);
      },
    ]);
    this.#courtesy = new LockCourtesy({
      mode: parts.options.onLockQueue ?? defaults.onLockQueue,
      waitMs: parts.options.lockTimeoutMs,
      warn: (message) => this.#toRunParts().warn([message]),
      monotonicMs: systemClock.monotonicMs,
    });
  }

  async run(): Promise<BackupReport> {
    const { id, title, storage, journal, context } = this.#parts;
    this.#record({
      type: 'backup.started',
      id,
      database: title,
      repository: storage.location,
      pid: processId,
      host: hostname(),
      toolVersion: readToolVersion(),
    });
    this.#toRunParts().warn(this.#parts.warnings ?? []);
    let manifest: Manifest;
    try {
      manifest = await this.#save();
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
    const { waves, databases } = manifest;
    const snapshots = { earliestAt: waves[0]?.earliestAt ?? '', latestAt: waves.at(-1)?.latestAt ?? '', waveCount: waves.length };
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
      databaseCount: databases.length,
      snapshots,
      ...speed,
      estimatedRawBytes: this.#databases.reduce((sum, { plan }) => sum + plan.estimatedRawBytes, 0),
      warnings: this.#warnings,
    };
  }

  async #save(): Promise<Manifest> {
    const { id, kind, options, settings, context, waves } = this.#parts;
    for (const [index, sources] of waves.entries()) {
      await withWave(
        { id, options, signal: context.signal, areKeepersLeft: () => this.#areKeepersLeft, warn: this.#toRunParts().warn },
        sources,
        (members) => this.#saveWave(index + 1, members),
      );
    }
    const facts = {
      id,
      kind,
      tool: { name: 'dbbackup', version: readToolVersion() },
      startedAt: this.#startedAt,
      options: {
        compression: settings.compressionName,
        chunkSizeBytes: settings.chunkSizeBytes,
        format: settings.format,
        checksum: settings.checksum,
        jobs: settings.jobs,
        isOwnerDropped: options.isOwnerDropped === true,
        arePrivilegesDropped: options.arePrivilegesDropped === true,
        selection: toManifestSelection(settings),
      },
      codec: settings.codec,
      databases: this.#databases,
      globals: this.#globals,
      tasks: this.#tasks,
    };
    const manifest = this.#builder.build(facts, new Date(systemClock.nowMs()).toISOString());
    // What it was made of is more than it is itself, and nobody's any more: a catalog of thousands of relations shall not stay while it is written.
    this.#databases.length = 0;
    this.#tasks.length = 0;
    this.#builder = new ManifestBuilder();
    return manifest;
  }

  /** Saves some databases whose snapshots are held at the same time. */
  async #saveWave(wave: number, members: readonly WaveMember[]): Promise<void> {
    const { kind, options, settings, context, waves, globals } = this.#parts;
    const { jobs } = settings;
    const leaders = members.map(({ source, leader }) => (kind === 'cluster' ? nameLeader(leader, source.name) : leader));
    const snapshotOptions = {
      lockTimeoutMs: options.lockTimeoutMs ?? 0,
      ...(settings.scope === undefined ? {} : { scope: settings.scope }),
    };
    await withSnapshots(leaders, snapshotOptions, async (snapshots) => {
      const heldSinceMs = systemClock.monotonicMs();
      const run = this.#toRunParts();
      const databases = snapshots.map((held, index) => {
        const member = members[index];
        if (member === undefined) throw new DbbackupError('internal', 'there is a snapshot of no database');
        const { source, ...reached } = member;
        const { number, name } = source;
        const checkSnapshot = async (): Promise<void> => leaders[index]?.checkSnapshot();
        return new DatabaseBackup(run, { ...reached, number, name, wave, isNamed: kind === 'cluster', held, checkSnapshot });
      });
      for (const database of databases) await database.prepare();
      await globals?.read(run, databases);
      if (globals !== null && wave === waves.length) this.#globals = await globals.store(run);
      const tasks = queueTasks(databases, this.#tasks.length + 1);
      for (const { hold } of members) await hold();
      // The pool is measured against the limit here, after pg_dump's output has passed.
      const { memoryLimitBytes, maxBytesPerSecond } = options;
      await withEngine({ jobs, memoryLimitBytes, maxBytesPerSecond, signal: context.signal }, (engine) =>
        this.#copy(
          engine,
          databases,
          tasks,
          members.map(({ session }) => session),
          heldSinceMs,
        ),
      );
      for (const leader of leaders) await leader.checkSnapshot();
      this.#tasks.push(...tasks);
      this.#databases.push(...databases.map(({ facts }) => facts));
    });
  }

  #toRunParts(): RunParts {
    const { id, options, settings, pgDump, storage, context } = this.#parts;
    return {
      id,
      options,
      settings,
      pgDump,
      storage,
      signal: context.signal,
      record: this.#record,
      warn: (messages) => {
        for (const message of messages) {
          this.#warnings.push(message);
          this.#record({ type: 'warning', message });
        }
      },
    };
  }

  /** `sessions` are the leaders', in the order of their databases. */
  async #copy(
    engine: Engine,
    databases: readonly DatabaseBackup[],
    tasks: readonly QueuedTask[],
    sessions: readonly QuerySession[],
    heldSinceMs: number,
  ): Promise<void> {
    const { settings, context } = this.#parts;
    const toTask = await this.#prepareTasks(databases);
    const firstTaskId = tasks[0]?.taskId ?? 1;
    const byNumber = new Map(databases.map((database) => [database.number, database]));
    const prefixOf = (task: QueuedTask | undefined): string => byNumber.get(task?.database ?? 0)?.prefix ?? '';
    const tagOf = ({ database }: QueuedTask) => byNumber.get(database)?.tag ?? {};
    const nameOf = (taskId: number, source: number): string => {
      const task = tasks[taskId - firstTaskId];
      return `${prefixOf(task)}${task?.chunks[source]?.name ?? `task ${taskId}`}`;
    };
    const nameTask = (task: QueuedTask): string => `${prefixOf(task)}${nameChunks(task)}`;
    const before = this.#done;
    const estimatedRawBytes = databases.reduce((sum, { plan }) => sum + plan.estimatedRawBytes, before.rawBytes);
    let failed: QueuedTask | null = null;
    const { id, storage, options } = this.#parts;
    const leaders = databases.flatMap((database, index) => {
      const { number, prefix } = database;
      const session = sessions[index];
      return session === undefined ? [] : [{ number, prefix, session, checkSnapshot: () => database.checkSnapshot() }];
    });
    const retry = createTaskRetries({
      id,
      storage,
      signal: context.signal,
      record: this.#record,
      random: Math.random,
      onLockRefused: async (task, { spec, error }) => {
        const leader = leaders.find(({ number }) => number === task.database);
        const waiters = leader === undefined ? [] : await readLockQueue(leader.session);
        return this.#courtesy.refuse(spec.taskId, waiters, leader?.prefix ?? '', error);
      },
    });
    const limitMs = databases.reduce(
      (sum, { plan }) => sum + toTimeLimitMs(options.timeoutMs, plan.estimatedRawBytes, options.maxBytesPerSecond),
      0,
    );
    const names = databases.map(({ facts }) => facts.name);
    const leftMs = limitMs - (systemClock.monotonicMs() - heldSinceMs);
    const watch = createRunWatch({
      engine,
      leaders,
      courtesy: this.#courtesy,
      stallMs: options.stallTimeoutMs ?? defaults.stallTimeoutMs,
      deadline: limitMs === 0 ? null : { leftMs, error: toTimeoutError(names, limitMs) },
      nameOf: (taskId) => nameOf(taskId, 0),
      tell: (message) => this.#record({ type: 'notice', message }),
      monotonicMs: systemClock.monotonicMs,
    });
    const disk = new DiskWatch({
      path: storage.location,
      readUse: () => {
        const { rawBytes, storedBytes } = engine.stats();
        return { rawBytes: before.rawBytes + rawBytes, storedBytes: before.storedBytes + storedBytes, estimatedRawBytes };
      },
    });
    const isLookedAt = options.isPreflightLeftOut !== true;
    const notice = isLookedAt ? await disk.checkBefore(estimatedRawBytes - before.rawBytes, settings.codec !== 'none') : null;
    if (notice !== null) this.#record({ type: 'notice', message: notice });
    const run = (): Promise<void> =>
      runTasks(engine, toTasks(tasks, toTask), settings.jobs, {
        onStarted: ({ origin }) => {
          this.#record({ type: 'chunk.started', ...tagOf(origin), taskId: origin.taskId, name: nameTask(origin) });
        },
        onFinished: async ({ origin }, { taskId, rawBytes, storedBytes, rowCount, elapsedMs, files, segments }) => {
          const name = nameTask(origin);
          const event = this.#record({
            type: 'chunk.finished',
            ...tagOf(origin),
            taskId,
            name,
            rawBytes,
            storedBytes,
            rowCount,
            elapsedMs,
            files,
            segments,
          });
          this.#builder.add(event);
          this.#done = {
            rawBytes: this.#done.rawBytes + rawBytes,
            storedBytes: this.#done.storedBytes + storedBytes,
            rowCount: this.#done.rowCount + rowCount,
          };
          await this.#journalled;
        },
        onFailed: ({ origin }, error) => {
          failed ??= origin;
          this.#record({
            type: 'chunk.failed',
            ...tagOf(origin),
            taskId: origin.taskId,
            name: error.details.object ?? nameTask(origin),
            code: error.code,
            message: error.message,
          });
        },
        toRetry: ({ origin }, failure, stopped) => {
          const checkSnapshot = async (): Promise<void> => byNumber.get(origin.database)?.checkSnapshot();
          const task = { name: nameTask(origin), tag: tagOf(origin), database: origin.database, checkSnapshot };
          return retry(task, failure, stopped);
        },
        watch: (fail) => {
          const ends = [watch(fail), disk.watch(fail)];
          return () => {
            for (const end of ends) end();
          };
        },
        // Nothing is stored any more, since there will be no backup: the other relations of the task are read to find out whether they can be.
        toRest: (spec, { details: { object } }) => {
          const failedAt = spec.sources.findIndex(({ name }) => name === object);
          const sources = spec.sources.slice(failedAt + 1);
          return failedAt === -1 || sources.length === 0 ? null : { ...spec, sources, sink: null };
        },
      });
    try {
      await withProgress({ engine, emit: createEmit([context.onEvent]), estimatedRawBytes, before, nameOf }, run);
    } catch (cause) {
      const error = disk.explain(toDbbackupError(cause));
      // The first one that failed is the one that is thrown.
      const database = byNumber.get((failed as QueuedTask | null)?.database ?? 0);
      throw database === undefined ? error : await database.explain(error);
    }
  }

  /** What turns a planned task into one for the engine: at most one exists for each job at a time. */
  async #prepareTasks(databases: readonly DatabaseBackup[]): Promise<(task: QueuedTask) => CopyOutTask> {
    const { id, settings, storage } = this.#parts;
    const directory = await storage.createFolder(nameInBackup(id, backupNames.dataFolder));
    const { codec, level, checksum } = settings;
    const toSink = (taskId: number) => ({
      directory,
      stem: dataStem(taskId, 1),
      extension: dataExtension(codec),
      codec,
      level,
      checksum,
      maxStoredBytes: settings.chunkSizeBytes,
      isDirect: true,
    });
    const toTask = new Map(databases.map((database) => [database.number, database.createTasks(toSink)]));
    return (task) => {
      const create = toTask.get(task.database);
      if (create === undefined) throw new DbbackupError('internal', `task ${task.taskId} reads database ${task.database}`);
      return create(task);
    };
  }

  /** Notes the failure in the journal. The failure is what the caller learns; a journal that cannot be written either is attached nowhere: the disk's error is the first. */
  async #fail(cause: unknown): Promise<void> {
    const { code, message, hint } = toDbbackupError(cause);
    this.#record({ type: 'run.failed', code, message, ...(hint === undefined ? {} : { hint }) });
    await this.#parts.journal.close().catch(() => undefined);
  }
}

const toManifestSelection = ({ scope, selection }: BackupParts['settings']): ManifestOptions['selection'] => {
  if (scope === undefined) return null;
  const { isRefreshing: _, ...typed } = selection;
  return { ...typed, isUnloggedDataLeftOut: scope.isUnloggedDataLeftOut };
};

const nameChunks = ({ chunks }: PlannedTask): string => {
  const [first] = chunks;
  return first === undefined || chunks.length === 1 ? (first?.name ?? '') : `${first.name} and ${chunks.length - 1} more`;
};
