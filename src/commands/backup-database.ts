import type { HeldSnapshot } from '../catalog/leader.js';
import { adviseLockRoom } from '../catalog/lock-room.js';
import { displayText } from '../catalog/names.js';
import { prelude } from '../catalog/prelude.js';
import type { QuerySession } from '../catalog/rows.js';
import { readUsedGlobals, toRoleChanged, type UsedGlobal } from '../catalog/used-globals.js';
import type { Emit } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import type { DatabaseFacts } from '../manifest/builder.js';
import type { ManifestArchive } from '../manifest/schema.js';
import type { CopyOutTask, FileSinkSpec, SessionSpec } from '../native/engine.js';
import { processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { planBackup } from '../planner/backup-plan.js';
import type { BackupPlan } from '../planner/plan.js';
import type { QueuedTask } from '../planner/queue.js';
import { type DatabaseHistory, listTasksOf, toEarlierFacts, toEarlierReadings, toFacts } from '../resume/history.js';
import { type KeptReading, mixPlans } from '../resume/mix-plans.js';
import { storeSnapshotState } from '../resume/snapshot-state.js';
import type { LocalStorage } from '../storage/storage.js';
import { dumpSchema, toDumpSelection } from '../tools/dump-schema.js';
import { type Tool, toToolConnection } from '../tools/tool.js';
import { storeSchema } from './archives.js';
import { toConnectionSpec } from './connect.js';
import { createSources, toReadingSession } from './copy-sources.js';
import { nameLargestRow } from './largest-row.js';
import type { BackupOptions } from './options.js';
import { toRoleSql } from './sessions.js';
import type { toBackupSettings } from './settings.js';

/** What all databases of a run share. */
export interface RunParts {
  readonly id: string;
  readonly options: BackupOptions;
  readonly settings: ReturnType<typeof toBackupSettings>;
  readonly pgDump: Tool;
  readonly storage: LocalStorage;
  readonly signal: AbortSignal | undefined;
  readonly record: Emit;
  readonly warn: (messages: readonly string[]) => void;
}

/** One database of a run: how it is reached, and the snapshot that is held of it. */
export interface DatabaseParts {
  /** From 1, within the backup. */
  readonly number: number;
  /** As the server's other databases call it: what a database says of itself went through its own encoding. */
  readonly name: string;
  readonly wave: number;
  /** Its tasks, Events and errors name it: in a cluster they would not tell which database they are about. */
  readonly isNamed: boolean;
  /** How client tools reach it. */
  readonly access: Pick<Session, 'info' | 'password'>;
  /** Holds the snapshot. */
  readonly session: QuerySession;
  readonly held: HeldSnapshot;
  /** Proves that the snapshot still stands; see Leader. */
  readonly checkSnapshot: () => Promise<void>;
  /** Of a run that is continued: whether `held` is the snapshot it had, and what it read before. */
  readonly history: { readonly isSameSnapshot: boolean; readonly database: DatabaseHistory } | null;
  /** Connection parameters that lead to this database and server where the options name others. */
  readonly overrides: Readonly<Record<string, string>>;
}

/** What concerns one database of a backup alone: its archives, its plan, and the tasks that read it. */
export class DatabaseBackup {
  readonly number: number;
  readonly name: string;
  /** Roles and tablespaces that its snapshot names. Empty before `prepare` has ended, and where part of it is saved. */
  used: readonly UsedGlobal[] = [];
  /** Not to be read before `prepare` has ended, as the plan. */
  #facts: DatabaseFacts | null = null;
  #kept: readonly KeptReading[] = [];
  #worker: SessionSpec | null = null;
  readonly #run: RunParts;
  readonly #parts: DatabaseParts;
  /** What precedes names of relations. */
  readonly prefix: string;
  /** What is added to Events. */
  readonly tag: { readonly database?: string };

  constructor(run: RunParts, parts: DatabaseParts) {
    this.#run = run;
    this.#parts = parts;
    this.number = parts.number;
    this.name = parts.name;
    this.prefix = parts.isNamed ? `${displayText(parts.name)}: ` : '';
    this.tag = parts.isNamed ? { database: parts.name } : {};
  }

  get facts(): DatabaseFacts {
    if (this.#facts === null) throw new DbbackupError('internal', `database ${this.number} is not prepared`);
    return this.#facts;
  }

  get plan(): BackupPlan {
    return this.facts.plan;
  }

  /** The tasks of an earlier attempt that go on under the same snapshot; null where the plan is new. */
  get knownTasks(): readonly QueuedTask[] | null {
    const { history } = this.#parts;
    if (history === null || !history.isSameSnapshot) return null;
    return history.database.states.at(-1)?.tasks.filter(({ taskId }) => !history.database.sound.has(taskId)) ?? [];
  }

  /** Tasks of earlier snapshots of which something stays. */
  get earlierTasks(): readonly QueuedTask[] {
    return listTasksOf(this.#parts.history?.database.states ?? [], this.#kept);
  }

  /** Stores the schema and plans the reading of rows; where the snapshot is that of an earlier attempt, both are there. */
  async prepare(): Promise<void> {
    const { history, number, name, wave } = this.#parts;
    if (history?.isSameSnapshot === true) {
      this.#kept = history.database.states.at(-1)?.kept ?? [];
      this.#facts = toFacts({ number, name, wave }, history.database.states);
      this.used = history.database.states.at(-1)?.used ?? [];
    } else {
      this.#facts = await this.#prepareAnew();
    }
    this.#worker = this.#toWorker();
  }

  async #prepareAnew(): Promise<DatabaseFacts> {
    const { settings, record } = this.#run;
    const { number, name, wave, history } = this.#parts;
    const { catalog, snapshot, lsn, takenAt } = this.#parts.held;
    const states = history?.database.states ?? [];
    const facts = { number: (states.at(-1)?.snapshot.number ?? 0) + 1, id: snapshot, lsn, takenAt };
    record({ type: 'snapshot.taken', ...this.tag, snapshot, lsn, relationCount: catalog.relations.length });
    this.#warn(catalog.warnings);
    const schema = await this.#storeSchema(facts.number);
    await this.#readUsed();

    const whole = planBackup(catalog, settings);
    this.#warn(
      whole.skipped
        .filter(({ isChosen }) => !isChosen)
        .map((relation) => `${relation.schema}.${relation.name} is saved without rows: ${relation.reason}`),
    );
    const { plan, kept } = mixPlans(history === null ? [] : toEarlierReadings(history.database), catalog, whole);
    this.#kept = kept;
    record({
      type: 'plan.ready',
      ...this.tag,
      taskCount: plan.tasks.length,
      relationCount: plan.relations.length,
      estimatedRawBytes: plan.estimatedRawBytes,
      binaryRelationCount: plan.relations.filter(({ format }) => format === 'binary').length,
      splitRelationCount: plan.relations.filter(({ chunkCount }) => chunkCount > 1).length,
    });
    return { number, name, wave, catalog, plan, snapshot: facts, schema, earlier: toEarlierFacts(states, kept) };
  }

  /** What another process needs to go on with these tasks, on disk before the first of them runs. */
  async storeState(tasks: readonly QueuedTask[]): Promise<void> {
    const { storage, id } = this.#run;
    const { snapshot, catalog, plan, schema } = this.facts;
    const { transactionStart } = this.#parts.held;
    await storeSnapshotState(storage, id, this.number, {
      snapshot,
      transactionStart,
      schema,
      catalog,
      plan,
      tasks,
      kept: this.#kept,
      used: this.used,
    });
  }

  #toWorker(): SessionSpec {
    const { id, options } = this.#run;
    const { number, overrides } = this.#parts;
    const { catalog, snapshot, guard } = this.#parts.held;
    return {
      key: `${number} ${snapshot}`,
      connection: toConnectionSpec(options.connection, `dbbackup ${id}`, overrides),
      setupSql: [
        ...prelude(catalog.database.encoding),
        ...toRoleSql(options.connection, catalog.database.encoding),
        'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
        `SET TRANSACTION SNAPSHOT '${snapshot.replaceAll("'", "''")}'`,
      ],
      guardSql: guard.sql,
      guardExpected: guard.expected,
    };
  }

  /** Once pg_dump is done: names within privileges come as they are now, whatever the snapshot, and as numbers where there are none any more. */
  async #readUsed(): Promise<void> {
    if (this.#run.settings.scope !== undefined) return;
    const { session, held, name } = this.#parts;
    this.used = await readUsedGlobals(session, held.catalog.server.version);
    const changed = this.used.find(({ isChanged }) => isChanged);
    if (changed !== undefined) throw toRoleChanged(changed, name);
  }

  async #storeSchema(snapshot: number): Promise<ManifestArchive> {
    const { id, options, settings, pgDump, storage, signal, record } = this.#run;
    const { number, access, held } = this.#parts;
    const { lockTimeoutMs } = options;
    const target = { storage, id, database: number, snapshot, pgDumpVersion: pgDump.version, signal };
    const dump = { pgDump, connection: toToolConnection(access), snapshot: held.snapshot, host: processHost, signal, lockTimeoutMs };
    const selectionArguments = toDumpSelection({
      selection: settings.selection,
      encoding: held.catalog.database.encoding,
      arePrivilegesDropped: options.arePrivilegesDropped === true,
      role: options.connection.role ?? null,
    });
    const { archive, warnings } = await storeSchema(target, (outPath) =>
      this.#adviseOnLocks(() => dumpSchema({ ...dump, outPath, selectionArguments })),
    );
    this.#warn(warnings);
    record({ type: 'schema.dumped', ...this.tag, path: archive.path, sizeBytes: archive.sizeBytes, sha256: archive.sha256 });
    return archive;
  }

  /** Runs pg_dump, which locks what the leader has locked before. */
  async #adviseOnLocks<T>(dump: () => Promise<T>): Promise<T> {
    const { session, held } = this.#parts;
    try {
      return await dump();
    } catch (error) {
      if (!(error instanceof DbbackupError && /out of shared memory/.test(error.message))) throw error;
      const hint = await adviseLockRoom(session, held.catalog.relations.length);
      throw new DbbackupError(error.code, error.message, { cause: error, details: { ...error.details, hint } });
    }
  }

  /** What turns a planned task of this database into one for the engine. */
  createTasks(toSink: (taskId: number) => FileSinkSpec): (task: QueuedTask) => CopyOutTask {
    const { catalog, plan } = this.facts;
    const worker = this.#worker;
    if (worker === null) throw new DbbackupError('internal', `database ${this.number} is not prepared`);
    const toSource = createSources(catalog, plan);
    return ({ taskId, chunks }) => ({
      kind: 'copyOut',
      taskId,
      session: toReadingSession(worker, chunks),
      sources: chunks.map(toSource).map((source) => ({ ...source, name: `${this.prefix}${source.name}` })),
      sink: toSink(taskId),
    });
  }

  checkSnapshot(): Promise<void> {
    return this.#parts.checkSnapshot();
  }

  /** `error` with the place of the row it is about, where it is about one of this database; see `nameLargestRow`. */
  async explain(error: DbbackupError): Promise<DbbackupError> {
    const { object = '' } = error.details;
    // The plan's names have no prefix.
    const bare = new DbbackupError(error.code, error.message, {
      cause: error,
      details: { ...error.details, object: object.slice(this.prefix.length) },
    });
    const explained = await nameLargestRow(this.#parts.session, this.#parts.held.catalog, this.plan, bare);
    if (explained === bare) return error;
    return new DbbackupError(explained.code, `${this.prefix}${explained.message}`, {
      cause: error,
      details: { ...explained.details, object },
    });
  }

  #warn(messages: readonly string[]): void {
    this.#run.warn(messages.map((message) => `${this.prefix}${message}`));
  }
}
