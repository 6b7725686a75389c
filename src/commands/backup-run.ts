import { hostname } from 'node:os';
import { readLockQueue } from '../catalog/activity.js';
import { type HeldSnapshot, withSnapshots } from '../catalog/leader.js';
import type { QuerySession } from '../catalog/rows.js';
import { createEmit, type Emit, systemClock } from '../core/context.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import { readToolVersion } from '../core/version.js';
import { runTasks, toTasks } from '../engine/executor.js';
import { type Amount, noAmount, withProgress } from '../engine/progress.js';
import { type DatabaseFacts, ManifestBuilder } from '../manifest/builder.js';
import type { Journal } from '../manifest/journal.js';
import { describeMixing } from '../manifest/mixed.js';
import type { Manifest, ManifestArchive, ManifestOptions } from '../manifest/schema.js';
import { publishManifest } from '../manifest/store.js';
import type { CopyOutTask, Engine } from '../native/engine.js';
import { measureMemory, processId } from '../native/host.js';
import { largestFirst } from '../planner/order.js';
import type { PlannedTask } from '../planner/plan.js';
import { type QueuedTask, queueTasks } from '../planner/queue.js';
import { writeRestoreKit } from '../restore-kit/restore-kit.js';
import { removeUnused } from '../resume/finished-tasks.js';
import { hasRows, listTasksOf, toFacts } from '../resume/history.js';
import { backupNames, dataExtension, dataStem, nameInBackup } from '../storage/layout.js';
import type { LocalStorage } from '../storage/storage.js';
import type { Tool } from '../tools/tool.js';
import { DatabaseBackup, type RunParts } from './backup-database.js';
import type { GlobalsBackup } from './backup-globals.js';
import type { BackupSource } from './backup-source.js';
import { DiskWatch } from './disk-watch.js';
import { isContinuable, noteFailure } from './failed-run.js';
import { LockCourtesy } from './lock-courtesy.js';
import { nameLeader } from './name-database.js';
import { type ResumedRun, sumRawBytes } from './open-run.js';
import { type BackupOptions, type BackupReport, defaults, type RunContext } from './options.js';
import { createRunWatch, toTimeLimitMs, toTimeoutError } from './run-watch.js';
import { type toBackupSettings, toBytesPerSecond, withEngine } from './settings.js';
import { createTaskRetries } from './task-retries.js';
import { type AdoptedSnapshot, type WaveMember, withWave } from './wave.js';

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
  /** Null for a new run. */
  readonly resumed: ResumedRun | null;
}

/** One run: snapshots, schemas, plans, one queue of tasks, rows, manifest. */
export class BackupRun {
  readonly #parts: BackupParts;
  readonly #startedMs = systemClock.monotonicMs();
  readonly #startedAt: string;
  readonly #warnings: string[] = [];
  #builder = new ManifestBuilder();
  readonly #databases: DatabaseFacts[] = [];
  readonly #tasks: QueuedTask[] = [];
  #globals: ManifestArchive | null = null;
  #lastTaskId: number;
  /** Of all that was planned, for the report. */
  #estimatedRawBytes = 0;
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
    const { resumed } = parts;
    this.#startedAt = new Date(resumed?.startedAtMs ?? systemClock.nowMs()).toISOString();
    this.#lastTaskId = resumed?.lastTaskId ?? 0;
    for (const event of resumed?.checked.sound.values() ?? []) {
      this.#builder.add(event);
      this.#done = addAmounts(this.#done, event);
    }
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
    const { id, storage, journal, options, context } = this.#parts;
    this.#recordStart();
    this.#warn(this.#parts.warnings ?? []);
    let manifest: Manifest;
    try {
      manifest = await this.#save();
      // A journal that could not be written must not have a manifest beside it.
      await this.#journalled;
      await writeRestoreKit(storage, manifest);
      if (this.#parts.resumed !== null) await removeUnused(storage, manifest);
      // Never in silence.
      this.#warn(describeMixing(manifest));
      await this.#journalled;
      await publishManifest(storage, manifest);
    } catch (cause) {
      await noteFailure({ id, storage, journal, options, record: this.#record, areKeepersLeft: this.#areKeepersLeft }, cause);
      throw cause;
    }
    await journal.close();
    await storage.removeTree(nameInBackup(id, backupNames.resumeFolder));

    const { rowCount, rawBytes, storedBytes, relationCount, fileCount } = manifest.totals;
    const elapsedMs = Math.round(systemClock.monotonicMs() - this.#startedMs);
    const speed = { elapsedMs, bytesPerSecond: toBytesPerSecond(rawBytes, elapsedMs), peakRssBytes: measureMemory().peakRssBytes };
    createEmit([context.onEvent])({ type: 'backup.finished', id, rowCount, rawBytes, storedBytes, ...speed });
    const { waves, databases } = manifest;
    const { resumed } = this.#parts;
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
      estimatedRawBytes: this.#estimatedRawBytes,
      consistency: manifest.consistency,
      ...(resumed !== null && {
        resumed: { keptTaskCount: resumed.checked.sound.size, keptRawBytes: sumRawBytes(resumed.checked.sound.values()) },
      }),
      warnings: this.#warnings,
    };
  }

  #recordStart(): void {
    const { id, title, storage, resumed } = this.#parts;
    const run = { id, database: title, repository: storage.location, pid: processId, host: hostname(), toolVersion: readToolVersion() };
    if (resumed === null) {
      this.#record({ type: 'backup.started', ...run });
      return;
    }
    const { attempt, checked, databases } = resumed;
    const newSnapshotCount = [...databases.values()].filter(({ history, need }) => need === 'new-snapshot' && hasRows(history)).length;
    const kept = { keptTaskCount: checked.sound.size, keptRawBytes: sumRawBytes(checked.sound.values()) };
    this.#record({ type: 'backup.resumed', ...run, attempt, ...kept, newSnapshotCount });
    this.#warn(checked.damage);
  }

  async #save(): Promise<Manifest> {
    const { id, kind, options, settings, waves } = this.#parts;
    for (const [index, sources] of waves.entries()) await this.#saveWave(index + 1, sources);
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
      consistency: this.#toConsistency(),
      databases: this.#databases,
      globals: this.#globals,
      tasks: this.#tasks,
    };
    const manifest = this.#builder.build(facts, new Date(systemClock.nowMs()).toISOString());
    // What it was made of is more than it is itself, and nobody's any more: a catalog of thousands of relations shall not stay while it is written.
    this.#estimatedRawBytes = this.#databases.reduce((sum, { plan }) => sum + plan.estimatedRawBytes, 0);
    this.#databases.length = 0;
    this.#tasks.length = 0;
    this.#builder = new ManifestBuilder();
    return manifest;
  }

  #toConsistency(): Manifest['consistency'] {
    if (this.#databases.some(({ earlier }) => earlier.length > 0)) return 'mixed';
    return (this.#parts.resumed?.checked.sound.size ?? 0) > 0 ? 'exact-after-resume' : 'exact';
  }

  /** Saves some databases whose snapshots are held at the same time; those that an earlier attempt has read to their end need none. */
  async #saveWave(wave: number, sources: readonly BackupSource[]): Promise<void> {
    const { id, kind, options, settings, context, resumed } = this.#parts;
    const isDone = ({ number }: BackupSource): boolean => resumed?.databases.get(number)?.need === 'nothing';
    for (const source of sources.filter(isDone)) this.#addDone(wave, source);
    const open = sources.filter((source) => !isDone(source));
    if (open.length === 0) return this.#saveGlobals(wave, []);
    const adopted = pickAdopted(resumed, open);
    const warn = this.#toRunParts().warn;
    const parts = { id, options, signal: context.signal, areKeepersLeft: () => this.#areKeepersLeft, adopted, warn };
    const snapshotOptions = {
      lockTimeoutMs: options.lockTimeoutMs ?? 0,
      ...(settings.scope === undefined ? {} : { scope: settings.scope }),
    };
    await withWave(parts, open, (found) => {
      const members = kind === 'cluster' ? found.map((each) => ({ ...each, leader: nameLeader(each.leader, each.source.name) })) : found;
      return withSnapshots(
        members.map(({ leader }) => leader),
        snapshotOptions,
        (snapshots) => this.#saveMembers(wave, members, snapshots),
      );
    });
  }

  #addDone(wave: number, { number, name }: BackupSource): void {
    const states = this.#parts.resumed?.databases.get(number)?.history.states ?? [];
    const last = states.at(-1);
    this.#databases.push(toFacts({ number, name, wave }, states));
    this.#tasks.push(...listTasksOf(states, last?.kept ?? []), ...(last?.tasks ?? []));
  }

  /** What databases that an earlier attempt has read name must be among them as well. */
  async #saveGlobals(wave: number, databases: readonly DatabaseBackup[]): Promise<void> {
    const { waves, globals, resumed } = this.#parts;
    if (globals === null) return;
    if (resumed !== null && resumed.globals !== null) {
      this.#globals = resumed.globals;
      return;
    }
    const run = this.#toRunParts();
    const done = [...(resumed?.databases.values() ?? [])].filter(({ need }) => need === 'nothing').map(({ history }) => history);
    const before = done.map(({ number, states }) => ({
      name: waves.flat().find((source) => source.number === number)?.name ?? '',
      used: states.at(-1)?.used ?? [],
    }));
    await globals.read(run, [...before, ...databases]);
    if (wave === waves.length) this.#globals = await globals.store(run);
  }

  async #saveMembers(wave: number, members: readonly WaveMember[], snapshots: readonly HeldSnapshot[]): Promise<void> {
    const { kind, options, settings, context, resumed } = this.#parts;
    const { jobs } = settings;
    const heldSinceMs = systemClock.monotonicMs();
    const run = this.#toRunParts();
    const databases = snapshots.map((held, index) => {
      const member = members[index];
      if (member === undefined) throw new DbbackupError('internal', 'there is a snapshot of no database');
      const { source, ...reached } = member;
      const { number, name } = source;
      const checkSnapshot = (): Promise<void> => member.leader.checkSnapshot();
      const found = resumed?.databases.get(number);
      const history = found === undefined ? null : { isSameSnapshot: found.need === 'same-snapshot', database: found.history };
      return new DatabaseBackup(run, { ...reached, number, name, wave, isNamed: kind === 'cluster', held, checkSnapshot, history });
    });
    for (const database of databases) await database.prepare();
    await this.#saveGlobals(wave, databases);
    const queued = queueTasks(
      databases.filter(({ knownTasks }) => knownTasks === null).map(({ facts }) => facts),
      this.#lastTaskId + 1,
    );
    this.#lastTaskId += queued.length;
    for (const database of databases)
      if (database.knownTasks === null) await database.storeState(queued.filter(({ database: number }) => number === database.number));
    const tasks = largestFirst([...databases.flatMap(({ knownTasks }) => knownTasks ?? []), ...queued]);
    for (const { hold } of members) await hold();
    try {
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
      for (const { leader } of members) await leader.checkSnapshot();
    } catch (error) {
      this.#areKeepersLeft = isContinuable(toDbbackupError(error).code);
      throw error;
    }
    for (const database of databases) {
      const all = resumed?.databases.get(database.number)?.history.states.at(-1)?.tasks ?? [];
      this.#tasks.push(...database.earlierTasks, ...(database.knownTasks === null ? [] : all));
      this.#databases.push(database.facts);
    }
    this.#tasks.push(...queued);
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
      warn: (messages) => this.#warn(messages),
    };
  }

  #warn(messages: readonly string[]): void {
    for (const message of messages) {
      this.#warnings.push(message);
      this.#record({ type: 'warning', message });
    }
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
    const byId = new Map(tasks.map((task) => [task.taskId, task]));
    const byNumber = new Map(databases.map((database) => [database.number, database]));
    const prefixOf = (task: QueuedTask | undefined): string => byNumber.get(task?.database ?? 0)?.prefix ?? '';
    const tagOf = ({ database }: QueuedTask) => byNumber.get(database)?.tag ?? {};
    const nameOf = (taskId: number, source: number): string => {
      const task = byId.get(taskId);
      return `${prefixOf(task)}${task?.chunks[source]?.name ?? `task ${taskId}`}`;
    };
    const nameTask = (task: QueuedTask): string => `${prefixOf(task)}${nameChunks(task)}`;
    const before = this.#done;
    const estimatedRawBytes = tasks.reduce((sum, task) => sum + task.estimatedRawBytes, before.rawBytes);
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
          this.#done = addAmounts(this.#done, { rawBytes, storedBytes, rowCount });
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
      stem: dataStem(taskId, this.#parts.resumed?.attempt ?? 1),
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
}

const pickAdopted = (resumed: ResumedRun | null, sources: readonly BackupSource[]): ReadonlyMap<number, AdoptedSnapshot> => {
  const numbers = new Set(sources.map(({ number }) => number));
  return new Map([...(resumed?.adopted ?? [])].filter(([number]) => numbers.has(number)));
};

const addAmounts = (a: Amount, b: Amount): Amount => ({
  rawBytes: a.rawBytes + b.rawBytes,
  storedBytes: a.storedBytes + b.storedBytes,
  rowCount: a.rowCount + b.rowCount,
});

const toManifestSelection = ({ scope, selection }: BackupParts['settings']): ManifestOptions['selection'] => {
  if (scope === undefined) return null;
  const { isRefreshing: _, ...typed } = selection;
  return { ...typed, isUnloggedDataLeftOut: scope.isUnloggedDataLeftOut };
};

const nameChunks = ({ chunks }: PlannedTask): string => {
  const [first] = chunks;
  return first === undefined || chunks.length === 1 ? (first?.name ?? '') : `${first.name} and ${chunks.length - 1} more`;
};
