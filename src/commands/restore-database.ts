import { join } from 'node:path';
import { afterFailure } from '../catalog/after-failure.js';
import { displayName, displayText } from '../catalog/names.js';
import { prelude } from '../catalog/prelude.js';
import { type Emit, systemClock } from '../core/context.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import type { Selection } from '../core/selection.js';
import { runTasks, toTasks } from '../engine/executor.js';
import { type Amount, withProgress } from '../engine/progress.js';
import type { Manifest, ManifestDatabase, ManifestRelation } from '../manifest/schema.js';
import type { CopyInTask, Engine, SessionSpec } from '../native/engine.js';
import type { Session } from '../native/session.js';
import { planRestore, type RestorePlan, type RestoreTask, type SegmentRef } from '../planner/restore-plan.js';
import { Spread } from '../planner/spread.js';
import type { LargeObjectStep } from '../restore-kit/large-objects.js';
import { ownSearchPathSql, Quoting, toCopyFrom, toRefreshStatement, toSequenceStatements } from '../restore-kit/sql.js';
import { nameInBackup } from '../storage/layout.js';
import type { LocalStorage } from '../storage/storage.js';
import { groupPostData, type PostDataGroups } from '../tools/archive-list.js';
import { type RestoreArchiveOptions, restoreComments, restoreEntries, restorePreData } from '../tools/restore-archive.js';
import { analyze } from './analyze.js';
import { checkComparable, checkRestored } from './check-restored.js';
import { toConnectionSpec } from './connect.js';
import {
  canReplicate,
  checkForeignKeys,
  checkSequences,
  findExistingTables,
  withoutTriggers,
  withUnprovedKeys,
} from './existing-tables.js';
import { checkExtensions } from './extensions.js';
import type { ConnectionOptions, RestoreOptions } from './options.js';
import { refreshViews } from './refresh-views.js';
import { restoreLargeObjects } from './restore-large-objects.js';
import { definitionsPart, type RestoreLedger, segmentPart, triggerPrefix } from './restore-ledger.js';
import { findPendingEntries, restoreLastSection } from './restore-post-data.js';
import type { RestoreScope } from './restore-scope.js';
import { partSplitKeys, restoreSplitKeys } from './restore-split-keys.js';
import { refuseMentions, renameSchemas, type SchemaMap } from './schema-map.js';
import { toRoleSql, toSameServer, withSession } from './sessions.js';
import { withEngine } from './settings.js';

export interface RestoreParts {
  readonly id: string;
  readonly manifest: Manifest;
  /** What of it is restored. */
  readonly database: ManifestDatabase;
  /** The database as it was backed up. */
  readonly whole: ManifestDatabase;
  readonly scope: RestoreScope;
  readonly selection: Selection;
  readonly schemaMap: SchemaMap;
  /** Definitions are restored in one transaction. */
  readonly areDefinitionsAtomic: boolean;
  /** The ledger stays when the database is restored: others are not. */
  readonly isLedgerKept: boolean;
  readonly options: Pick<RestoreOptions, 'memoryLimitBytes' | 'isChecking' | 'isAppending' | 'areTriggersDisabled' | 'isLoadingViaRoot'>;
  /** Leads to the target, with these parameters where it names another database. */
  readonly connection: ConnectionOptions;
  readonly overrides: Readonly<Record<string, string>>;
  /** Tasks, Events and errors name the database: it is one of several. */
  readonly isNamed: boolean;
  /** What the run has restored before, and what it restores in all: for its progress. */
  readonly before: Amount;
  readonly totalRawBytes: number;
  readonly signal: AbortSignal | undefined;
  readonly emit: Emit;
  readonly jobs: number;
  readonly storage: LocalStorage;
  readonly session: Session;
  /** What an earlier run has done already, and where this one notes what it does. */
  readonly ledger: RestoreLedger;
  /** This run goes on with an earlier one. */
  readonly isResuming: boolean;
  readonly archive: RestoreArchiveOptions;
  /** Private directory for the unpacked archive and lists. */
  readonly scratch: string;
}

export interface DatabaseRestored {
  readonly warnings: readonly string[];
  /** Undefined where nothing was to be checked. */
  readonly checkedRelationCount: number | undefined;
}

/** One database into one target: definitions, rows with the indexes of large relations beside them, all the rest, sequences, materialised views, statistics. */
export class DatabaseRestore {
  readonly #parts: RestoreParts;
  readonly #warnings: string[] = [];
  /** What precedes names of relations, and what is added to Events. */
  readonly #prefix: string;
  readonly #tag: { readonly database?: string };

  /** Partitioned tables that rows may go through, by OID in the source. */
  readonly #roots: ReadonlyMap<number, ManifestRelation>;

  constructor(parts: RestoreParts) {
    this.#parts = parts;
    const { isNamed, database, selection, whole } = parts;
    // Where the tables exist, a partition that was named alone has its root there.
    const { relations, outwardReferences } = selection.sections.includes('pre-data') ? database : whole;
    this.#roots = new Map([
      ...(selection.sections.includes('pre-data') ? [] : outsideRoots(relations, outwardReferences)),
      ...relations.filter(({ kind }) => kind === 'p').map((relation) => [relation.oid, relation] as const),
    ]);
    this.#prefix = isNamed ? `${displayText(database.name)}: ` : '';
    this.#tag = isNamed ? { database: database.name } : {};
  }

  async run(): Promise<DatabaseRestored> {
    const { jobs, archive, scratch, database, options, scope, selection, session, schemaMap, ledger, areDefinitionsAtomic } = this.#parts;
    const { sections } = selection;
    this.#warn(scope.warnings);
    if (options.isChecking === true) await checkComparable(session, database.largeObjects);
    const isLoaded = ({ relation, segment }: SegmentRef): boolean =>
      ledger.isDone(segmentPart(database.relations[relation]?.oid ?? 0, segment));
    const plan = planRestore(database.relations, { jobs, isLoaded });
    const { pending, comments } = await findPendingEntries(this.#parts);
    // Rows of other partitions may still come through the root when a partition's own are there.
    const early = plan.largeRelations.filter(({ relation }) => this.#rootOf(database.relations[relation]) === null);
    const { rest: entries, keys } = partSplitKeys(database, pending);
    const groups = groupPostData(
      entries,
      sections.includes('post-data') ? early.map(({ relation }) => database.relations[relation]?.oid ?? 0) : [],
    );

    if (sections.includes('pre-data') && !ledger.isDone(definitionsPart)) {
      const late = new Set(scope.lateEntries);
      const entries = scope.isWhole ? null : scope.entries.filter((entry) => !late.has(entry));
      await this.#phase('pre-data', async () => {
        this.#warn(await restorePreData(archive, entries, join(scratch, 'definitions.list'), areDefinitionsAtomic));
        await ledger.note(definitionsPart);
      });
      await refuseMentions(session, schemaMap);
    }
    this.#warn(await checkExtensions(session, database, selection, (relation) => this.#rootOf(relation) ?? relation));
    if (sections.includes('data')) await this.#loadAll(plan, groups);
    const relationBytes = database.relations.reduce((sum, { rawBytes }) => sum + rawBytes, 0);
    await this.#restoreLargeObjects('large objects', ['write', 'set'], relationBytes);
    if (sections.includes('post-data'))
      await this.#phase('post-data', async () => {
        await restoreLastSection(this.#parts, groups.rest, (messages) => this.#warn(messages));
        this.#warn(await restoreSplitKeys(archive, keys, scratch));
        this.#warn(await restoreComments(archive, { entries: comments, listPath: join(scratch, 'comments.list') }));
      });
    await refuseMentions(session, schemaMap);
    await this.#phase('finish', () => this.#finish());
    const checkedRelationCount = await this.#check();
    if (Object.keys(schemaMap).length > 0) await this.#phase('rename', () => renameSchemas(session, schemaMap));
    if (ledger.dropSql !== null && !this.#parts.isLedgerKept) await session.query(ledger.dropSql);
    return { warnings: this.#warnings, checkedRelationCount };
  }

  /** Some steps; `relationBytes` of the database were loaded before. */
  async #restoreLargeObjects(phase: string, steps: readonly LargeObjectStep[], relationBytes: number): Promise<void> {
    const { manifest, database, storage, options, archive, session, jobs, signal, ledger } = this.#parts;
    const { largeObjects } = database;
    if (largeObjects === null) return;
    const { isOwnerDropped, arePrivilegesDropped } = archive;
    const { memoryLimitBytes } = options;
    const worker = this.#toWorker(await canReplicate(session));
    const emit = this.#toNamedEmit(relationBytes);
    const switches = { isOwnerDropped, arePrivilegesDropped };
    await this.#phase(phase, () =>
      restoreLargeObjects({ manifest, largeObjects, steps, storage, worker, ...switches, jobs, memoryLimitBytes, signal, emit, ledger }),
    );
  }

  /** Loads the rows; into tables that were there before with their triggers off, and their foreign keys proved afterwards. */
  async #loadAll(plan: RestorePlan, groups: PostDataGroups): Promise<void> {
    const { id, session, database, selection, options, connection, ledger } = this.#parts;
    const isReplicating = await canReplicate(session);
    const load = async (): Promise<void> => {
      await this.#restoreLargeObjects('large objects (creating)', ['create'], 0);
      await this.#phase('data', () => this.#load(plan, groups, isReplicating));
    };
    if (selection.sections.includes('pre-data')) return load();
    const toTarget = (relation: ManifestRelation): ManifestRelation => this.#rootOf(relation) ?? relation;
    const tables = await findExistingTables(session, database, options.isAppending === true || this.#parts.isResuming, toTarget);
    await checkSequences(session, database);
    // Not to be cancelled: it is what undoes.
    const settings = { applicationName: `dbbackup ${id}`, overrides: toSameServer(session) };
    const withOwnSession = (use: (own: Session) => Promise<void>): Promise<void> =>
      withSession(connection, settings, async (own) => {
        for (const sql of prelude('UTF8', 'write')) await own.query(sql);
        await use(own);
      });
    let isLoading = false;
    const loadNoted = (): Promise<void> => {
      isLoading = true;
      return load();
    };
    try {
      await withoutTriggers(
        session,
        tables,
        { isReplicating, areTriggersDisabled: options.areTriggersDisabled === true },
        loadNoted,
        withOwnSession,
        (enableSql) => ledger.note(`${triggerPrefix}${enableSql}`),
      );
      // Those of an earlier run that was killed are disabled still.
      await withOwnSession(async (own) => {
        for (const enableSql of ledger.list(triggerPrefix)) await own.query(enableSql.slice(triggerPrefix.length));
      });
      isLoading = true;
      await this.#phase('foreign keys', async () => void (await checkForeignKeys(session, tables)));
    } catch (error) {
      const failure = toDbbackupError(error);
      if (!isLoading || (failure.code === 'constraint_violated' && failure.details.sqlstate === undefined)) throw failure;
      let named = failure;
      throw await afterFailure(failure, () =>
        withOwnSession(async (own) => {
          named = await withUnprovedKeys(own, tables, failure);
        }),
      ).then((told) => (named === failure ? told : named));
    }
  }

  /** The partitioned table that a relation's rows go through; null where they go into the relation itself. */
  #rootOf(relation: ManifestRelation | undefined): ManifestRelation | null {
    const { options } = this.#parts;
    if (relation === undefined || relation.partitionRootOid === null) return null;
    if (options.isLoadingViaRoot !== true && !relation.isRootNeeded) return null;
    return this.#roots.get(relation.partitionRootOid) ?? null;
  }

  async #load(plan: RestorePlan, groups: PostDataGroups, isReplicating: boolean): Promise<void> {
    const { jobs, options, signal, emit, database, before, totalRawBytes } = this.#parts;
    const toTask = await this.#prepareTasks(isReplicating);
    const nameOf = (taskId: number, source: number): string => {
      const segment = plan.tasks[taskId - 1]?.segments[source];
      return segment === undefined ? '' : `${this.#prefix}${nameSegment(database, segment)}`;
    };
    const builder = new IndexBuilder(plan, (relation) => this.#buildIndexes(relation, groups));
    const spread = new Spread(plan.tasks, relationOf);
    await withEngine({ jobs, memoryLimitBytes: options.memoryLimitBytes, signal }, (engine: Engine) =>
      withProgress({ engine, emit, estimatedRawBytes: totalRawBytes, before, nameOf }, () =>
        runTasks(engine, toTasks(spread, toTask), jobs, {
          onStarted: ({ spec, origin }) => {
            emit({ type: 'chunk.started', ...this.#tag, taskId: origin.taskId, name: nameTask(spec) });
          },
          onFinished: async ({ spec, origin }, { taskId, rawBytes, storedBytes, rowCount, elapsedMs }) => {
            spread.release(origin);
            emit({ type: 'chunk.finished', ...this.#tag, taskId, name: nameTask(spec), rawBytes, storedBytes, rowCount, elapsedMs });
            await builder.finishTask(origin.taskId);
          },
          onFailed: ({ spec, origin }, error) => {
            spread.release(origin);
            emit({
              type: 'chunk.failed',
              ...this.#tag,
              taskId: origin.taskId,
              name: error.details.object ?? nameTask(spec),
              code: error.code,
              message: error.message,
            });
          },
        }),
      ),
    );
    const planned = plan.tasks.reduce((sum, { segments }) => sum + segments.length, 0);
    const loaded = database.relations.reduce((sum, { oid, segments }) => {
      return sum + segments.filter((_, segment) => this.#parts.ledger.isDone(segmentPart(oid, segment))).length;
    }, 0);
    const all = database.relations.reduce((sum, { segments }) => sum + segments.length, 0);
    if (planned + loaded !== all) throw new DbbackupError('internal', `the restore plan leaves out ${all - loaded - planned} segments`);
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

  /** A session that loads rows. */
  #toWorker(isReplicating: boolean): SessionSpec {
    const { id, database, connection } = this.#parts;
    return {
      key: 'load',
      connection: toConnectionSpec(connection, `dbbackup ${id}`, this.#toTarget()),
      setupSql: [
        ...prelude(database.encoding, 'write'),
        ...toRoleSql(connection, database.encoding),
        ...writingSettings,
        ...(isReplicating ? [replicaRoleSql] : []),
      ],
      guardSql: null,
      guardExpected: null,
    };
  }

  async #prepareTasks(isReplicating: boolean) {
    const { id, manifest, database, storage, ledger } = this.#parts;
    const quoting = new Quoting(database.encoding);
    const paths = await Promise.all(manifest.files.map(({ path }) => storage.localPath(nameInBackup(id, path))));
    const worker = this.#toWorker(isReplicating);
    const toSegment = (ref: SegmentRef) => {
      const relation = database.relations[ref.relation];
      const segment = relation?.segments[ref.segment];
      const file = manifest.files[segment?.file ?? -1];
      const path = paths[segment?.file ?? -1];
      if (relation === undefined || segment === undefined || file === undefined || path === undefined)
        throw new DbbackupError('internal', 'the restore plan names a segment that is not there');
      const { offset, storedBytes, rawBytes, rowCount, digest } = segment;
      const name = `${this.#prefix}${nameSegment(database, ref)}`;
      // First in its transaction: a session that has not ended yet makes this one wait, not load the rows twice.
      const noteSql = ledger.noteSql(segmentPart(relation.oid, ref.segment));
      const beginSql = [noteSql === null ? 'BEGIN' : `BEGIN; ${noteSql}`];
      const sql = { beginSql, copySql: toCopyFrom(quoting, relation, this.#rootOf(relation) ?? relation), endSql: ['COMMIT'] };
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
    const { session, database, jobs, connection, signal, id, options } = this.#parts;
    // What a view reads must be as in any session of the database's users, but for their time limits.
    const settings = ['RESET ALL', 'SET statement_timeout TO 0', 'SET lock_timeout TO 0', ...writingSettings];
    // Names are written in ASCII with escapes, so they mean the same under this session's encoding.
    const quoting = new Quoting(database.encoding);
    for (const sql of [...settings, ...toSequenceStatements(quoting, database, options.isAppending === true), ownSearchPathSql])
      await session.query(sql);
    this.#warn(
      await refreshViews(session, database.materializedViews, findRowless(this.#parts), (view) => toRefreshStatement(quoting, view)),
    );
    const sessions = { applicationName: `dbbackup ${id}`, signal, overrides: this.#toTarget() };
    await analyze(session, jobs, (use) => withSession(connection, sessions, use));
    // A commit that writes to the catalog and waits for the disk: everything before it is durable, too.
    await session.query('SET synchronous_commit TO on');
    await session.query('CREATE TEMPORARY TABLE dbbackup_finished () ON COMMIT DROP');
  }

  async #check(): Promise<number | undefined> {
    const { options, connection, signal, emit, database, session, jobs, id, archive } = this.#parts;
    if (options.isChecking !== true) return undefined;
    let checked = 0;
    await this.#phase('check', async () => {
      const worker = {
        key: 'check',
        connection: toConnectionSpec(connection, `dbbackup ${id}`, this.#toTarget()),
        setupSql: [...prelude(database.encoding), ...toRoleSql(connection, database.encoding)],
        guardSql: null,
        guardExpected: null,
      };
      checked = await checkRestored({
        session,
        database,
        rootOf: (relation) => this.#rootOf(relation),
        areLargeObjectsOwned: archive.isOwnerDropped !== true && archive.arePrivilegesDropped !== true,
        worker,
        jobs,
        memoryLimitBytes: options.memoryLimitBytes,
        signal,
        emit,
      });
    });
    return checked;
  }

  /** Tells of large objects as of relations: with the database's name, and progress after all that was restored before. */
  #toNamedEmit(relationBytes: number): Emit {
    const { emit, isNamed, before, totalRawBytes } = this.#parts;
    if (!isNamed) return emit;
    const base = before.rawBytes + relationBytes;
    return (body) => {
      switch (body.type) {
        case 'chunk.started':
        case 'chunk.finished':
        case 'chunk.failed':
          return emit({ ...body, ...this.#tag, name: `${this.#prefix}${body.name}` });
        case 'progress':
          return emit({ ...body, rawBytes: base + body.rawBytes, estimatedRawBytes: totalRawBytes });
        default:
          return emit(body);
      }
    };
  }

  #toTarget(): Readonly<Record<string, string>> {
    return { ...toSameServer(this.#parts.session), ...this.#parts.overrides };
  }

  async #phase(phase: string, run: () => Promise<void>): Promise<void> {
    const startedMs = systemClock.monotonicMs();
    this.#parts.emit({ type: 'phase.started', ...this.#tag, phase });
    await run();
    this.#parts.emit({ type: 'phase.finished', ...this.#tag, phase, elapsedMs: Math.round(systemClock.monotonicMs() - startedMs) });
  }

  #warn(messages: readonly string[]): void {
    for (const message of messages.map((text) => `${this.#prefix}${text}`)) {
      this.#warnings.push(message);
      this.#parts.emit({ type: 'warning', message });
    }
  }
}

/**
 * Triggers and foreign keys exist before the rows on extension configuration tables and on tables that were there before; rows are to come back as they were.
 */
const replicaRoleSql = 'SET session_replication_role TO replica';

/** Relations of the backup whose rows are not loaded, by the backup's options or this restore's. */
const findRowless = ({ whole, database, selection }: RestoreParts): readonly ManifestRelation[] => {
  const loaded = new Set(database.relations.map(({ oid }) => oid));
  const isLoading = selection.sections.includes('data');
  return whole.relations.filter(({ oid, kind, segments }) => kind !== 'p' && (segments.length === 0 || (isLoading && !loaded.has(oid))));
};

/** Parents of partitions that were backed up without them, by OID in the source; the partition's columns stand for theirs. */
const outsideRoots = (
  relations: readonly ManifestRelation[],
  references: ManifestDatabase['outwardReferences'],
): readonly (readonly [number, ManifestRelation])[] => {
  const parents = new Map(references.flatMap(({ kind, refersTo }) => (kind === 'parent' ? [[refersTo.oid, refersTo] as const] : [])));
  return relations.flatMap((relation) => {
    const parent = parents.get(relation.partitionRootOid ?? 0);
    return parent === undefined ? [] : [[parent.oid, { ...relation, ...parent, kind: 'p' as const, segments: [] }] as const];
  });
};

/** As in toLoadingConnection. */
const writingSettings = ['SET synchronous_commit TO off', 'SET default_transaction_read_only TO off'];

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

/** The relation that a task fills alone; null where it fills several small ones. */
const relationOf = ({ segments }: RestoreTask): number | null => (segments.length === 1 ? (segments[0]?.relation ?? null) : null);

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
