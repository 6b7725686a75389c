import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterFailure } from '../catalog/after-failure.js';
import { excludeNames } from '../catalog/cluster.js';
import { prelude } from '../catalog/prelude.js';
import { createEmit, type Emit, systemClock } from '../core/context.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import { toSelection } from '../core/selection.js';
import type { Amount } from '../engine/progress.js';
import { nameDatabases } from '../manifest/facts.js';
import type { Manifest, ManifestDatabase } from '../manifest/schema.js';
import { checkFilesPresent, listArchives, readManifest } from '../manifest/store.js';
import { measureMemory, processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { nameInBackup } from '../storage/layout.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import type { LocalStorage } from '../storage/storage.js';
import { type DatabaseScript, readDatabaseScript, toCreationFor } from '../tools/database-properties.js';
import { findTools, toMajor } from '../tools/find-tools.js';
import type { RestoreArchiveOptions } from '../tools/restore-archive.js';
import { runScript } from '../tools/run-script.js';
import type { Tool } from '../tools/tool.js';
import { readGlobals, unpackSchema, withScratch } from './archives.js';
import { checkDroppable } from './droppable.js';
import { compareKept } from './kept-database.js';
import { nameDatabase } from './name-database.js';
import type { ClusterRestoreOptions, ClusterRestoreReport, RunContext } from './options.js';
import { chooseRestore } from './restore-choice.js';
import { DatabaseRestore, type DatabaseRestored } from './restore-database.js';
import { planGlobals, restoreGlobals } from './restore-globals.js';
import { contentsPart, endLedger, everythingPart, hasLedger, isNoted, noteEverything, readLedgerRun } from './restore-ledger.js';
import { checkArchives, chooseRestoreTools, scopeArchive, toArchiveOptions, toLoadingConnection, toTotals } from './restore-parts.js';
import { openLedger, withLedger } from './restore-resume.js';
import { examineTarget } from './restore-scope.js';
import { toSameServer, withSession } from './sessions.js';
import { toBytesPerSecond, toJobs } from './settings.js';
import { checkLocale, createStatement, findUserObject, formatSql } from './target.js';

/**
 * Restores a backup of a cluster: roles and tablespaces that the target lacks, then each database with its properties and contents, one after the other. Roles and
 * tablespaces that are there are left as they are. Before anything is changed it is found out whether any database stands in the way. With `isResuming` a restore that was
 * interrupted is gone on with: databases that are complete stay as they are.
 *
 * Errors: as `restore`; `target_not_empty` naming a database that exists and holds something, unless `isCleaning`; `io_error` naming a tablespace without its directory.
 */
export const restoreCluster = async (options: ClusterRestoreOptions, context: RunContext = {}): Promise<ClusterRestoreReport> => {
  const { signal } = context;
  const startedMs = systemClock.monotonicMs();
  const jobs = toJobs(options.jobs);
  if (options.isCleaning === true && options.isConfirmed !== true)
    throw new DbbackupError('usage', 'dropping databases of the target needs consent', { details: { hint: 'Set isConfirmed, or --yes.' } });
  const storage = openLocalStorage(options.outputDir);
  const { id } = await (await openRepository(storage)).findFinished(options.id);
  const manifest = await readManifest(storage, id);
  const { globals } = manifest;
  if (globals === null)
    throw new DbbackupError('usage', `backup ${id} is one of a single database`, {
      details: { object: id, hint: `Use dbbackup restore single ${id} --target-db NAME.` },
    });
  const tools = await findTools({ names: ['pg_restore', 'psql'], binDir: options.pgBinDir, host: processHost, signal });
  return withScratch((scratch) =>
    withSession(options.connection, { applicationName: `dbbackup ${id}`, signal }, async (session) => {
      for (const sql of prelude('UTF8', 'write')) await session.query(sql);
      // A role may be set to begin its transactions as read-only.
      await session.query('SET default_transaction_read_only TO off');
      const names = manifest.databases.map(({ name }) => name);
      const chosen = new Set(await excludeNames(session, names, options.excludeDatabases ?? []));
      const databases = manifest.databases.filter(({ name }) => chosen.has(name));
      const part = { databases, hasGlobals: true };
      await checkFilesPresent(storage, manifest, part);
      await checkArchives(storage, id, listArchives(manifest, part), signal);
      const { pgRestore, psql } = chooseRestoreTools(tools, databases, toMajor(session.info().serverVersion));
      if (psql === null)
        throw new DbbackupError('tools_missing', `psql was not found beside ${pgRestore.path}`, { details: { object: 'psql' } });
      const run = new ClusterRestore({ id, manifest, databases, options, jobs, storage, session, pgRestore, psql, scratch, context });
      const restored = await run.run(globals.path);
      const { rowCount, rawBytes, relationCount } = toTotals(databases);
      const elapsedMs = Math.round(systemClock.monotonicMs() - startedMs);
      const speed = { elapsedMs, bytesPerSecond: toBytesPerSecond(rawBytes, elapsedMs), peakRssBytes: measureMemory().peakRssBytes };
      createEmit([context.onEvent])({ type: 'restore.finished', id, rowCount, rawBytes, ...speed });
      return { id, databases: [...chosen], relationCount, rowCount, rawBytes, ...speed, ...restored };
    }),
  );
};

interface ClusterRestoreParts {
  readonly id: string;
  readonly manifest: Manifest;
  readonly databases: readonly ManifestDatabase[];
  readonly options: ClusterRestoreOptions;
  readonly jobs: number;
  readonly storage: LocalStorage;
  /** Connected to the target, to a database that is there. */
  readonly session: Session;
  readonly pgRestore: Tool;
  readonly psql: Tool;
  readonly scratch: string;
  readonly context: RunContext;
}

type Outcome = Pick<ClusterRestoreReport, 'notices' | 'warnings' | 'checkedRelationCount'>;

/** Every server has them, and they cannot be dropped by a session that is connected to them: their properties are restored, and their contents if they are empty. */
const fixedDatabases: ReadonlySet<string> = new Set(['postgres', 'template1']);

const oldPrefix = 'dbbackup_old_';
const leftoverForm = /^dbbackup_(?:old|new)_[0-9a-f]{12}$/;

/** `error` of the first database that was not restored, with what is done and what is not. */
const tellProgress = (error: DbbackupError, databases: readonly ManifestDatabase[], doneCount: number): DbbackupError => {
  const list = (some: readonly ManifestDatabase[]): string => some.map(({ name }) => JSON.stringify(name)).join(', ') || 'none';
  const { hint = '' } = error;
  const state = `Complete: ${list(databases.slice(0, doneCount))}. Incomplete: ${list(databases.slice(doneCount, doneCount + 1))}. Not begun: ${list(databases.slice(doneCount + 1))}.`;
  return new DbbackupError(error.code, error.message, { cause: error, details: { ...error.details, hint: `${hint} ${state}`.trim() } });
};

/** A database of the target before its restore: not there, there as it was, or as an earlier run has left it. */
type TargetState = 'missing' | 'there' | 'begun' | 'complete';

class ClusterRestore {
  readonly #parts: ClusterRestoreParts;
  readonly #emit: Emit;
  readonly #warnings: string[] = [];

  constructor(parts: ClusterRestoreParts) {
    this.#parts = parts;
    this.#emit = createEmit([parts.context.onEvent]);
  }

  async run(globalsPath: string): Promise<Outcome> {
    const { id, databases, options, session, psql, storage, context } = this.#parts;
    if (await this.#isComplete()) return this.#endComplete();
    const { existing, begun, differences } = await this.#checkDatabases();
    const script = await readGlobals(await storage.localPath(nameInBackup(id, globalsPath)));
    const plan = await planGlobals(session, script, options.areTablespacesLeftOut === true);
    this.#emit({ type: 'restore.started', id, database: nameDatabases(databases.map(({ name }) => name)) });
    for (const message of plan.notices) this.#emit({ type: 'notice', message });
    this.#warn(differences);
    await this.#phase({}, 'roles and tablespaces', async () =>
      this.#warn(await restoreGlobals({ session, psql, signal: context.signal }, plan)),
    );
    let checkedRelationCount = 0;
    const done: ManifestDatabase[] = [];
    for (const database of databases) {
      const state = begun.get(database.name) ?? (existing.has(database.name) ? 'there' : 'missing');
      const restored = await this.#restoreDatabase(database, state, toTotals(done)).catch((error: unknown) => {
        throw tellProgress(toDbbackupError(error), databases, done.length);
      });
      this.#warnings.push(...restored.warnings);
      checkedRelationCount += restored.checkedRelationCount ?? 0;
      done.push(database);
    }
    await this.#endLedgers();
    const outcome = { notices: plan.notices, warnings: this.#warnings };
    return options.isChecking === true ? { ...outcome, checkedRelationCount } : outcome;
  }

  /** Whether an earlier run has restored everything and only its ledgers may be left: the first database's ledger, which is the last to go, says so. */
  async #isComplete(): Promise<boolean> {
    const { databases, options, session } = this.#parts;
    const [first] = databases;
    if (options.isResuming !== true || first === undefined) return false;
    const { rows } = await session.query('SELECT FROM pg_catalog.pg_database WHERE datname = $1', [first.name]);
    if (rows.length === 0) return false;
    return this.#withDatabase(first.name, async (opened) => (await hasLedger(opened)) && isNoted(opened, everythingPart));
  }

  async #endComplete(): Promise<Outcome> {
    await this.#endLedgers();
    return { notices: ['an earlier run had restored everything'], warnings: this.#warnings };
  }

  /** Ledgers stay until all databases are restored: a run that goes on must tell what is done. */
  async #endLedgers(): Promise<void> {
    const [first, ...others] = this.#parts.databases;
    if (first === undefined) return;
    await this.#withDatabase(first.name, (session) => noteEverything(session));
    for (const { name } of [...others, first]) await this.#withDatabase(name, (session) => endLedger(session));
  }

  /** How far an earlier run has come with a database; null where it holds no ledger. Errors: `run_differs` for one of another backup. */
  async #readState(session: Session, database: ManifestDatabase): Promise<'begun' | 'complete' | null> {
    if (!(await hasLedger(session))) return null;
    const { backupId, database: number } = await readLedgerRun(session);
    if (backupId !== this.#parts.id || number !== database.number)
      throw new DbbackupError(
        'run_differs',
        `the restore into database ${JSON.stringify(database.name)} was begun from backup ${backupId}`,
        {
          details: { object: database.name },
        },
      );
    return (await isNoted(session, contentsPart)) ? 'complete' : 'begun';
  }

  /**
   * Databases that are there, and how those that are filled as they are differ from the backup's. Errors: `target_not_empty` for one that stands in the way,
   * `target_in_use` for one that could not be dropped.
   */
  async #checkDatabases(): Promise<{
    readonly existing: ReadonlySet<string>;
    readonly begun: ReadonlyMap<string, 'begun' | 'complete'>;
    readonly differences: readonly string[];
  }> {
    const { databases, options, session } = this.#parts;
    const { rows } = await session.query('SELECT datname FROM pg_catalog.pg_database');
    const existing = new Set(rows.map(([name]) => name ?? ''));
    const begun = new Map<string, 'begun' | 'complete'>();
    const differences = [...existing]
      .filter((name) => leftoverForm.test(name))
      .map(
        (name) =>
          `database ${JSON.stringify(name)} is what a restore left that was ended while it replaced a database: look at it and drop it`,
      );
    for (const database of databases) {
      const { name } = database;
      const isThere = existing.has(name);
      const state =
        isThere && options.isResuming === true ? await this.#withDatabase(name, (opened) => this.#readState(opened, database)) : null;
      if (state !== null) {
        begun.set(name, state);
        continue;
      }
      const isFixed = this.#isFixed(name);
      if (!isThere || (options.isCleaning === true && !isFixed)) {
        checkLocale(session.info().serverVersion, database);
        if (isThere) await checkDroppable(session, name);
        continue;
      }
      const wanted = options.areTablespacesLeftOut === true ? { ...database, tablespace: 'pg_default' } : database;
      differences.push(...(await this.#withDatabase(name, (opened) => this.#checkKept(opened, wanted, isFixed))));
    }
    return { existing, begun, differences };
  }

  async #checkKept(session: Session, database: ManifestDatabase, isFixed: boolean): Promise<readonly string[]> {
    const { name } = database;
    for (const sql of prelude('UTF8', 'write')) await session.query(sql);
    const found = await findUserObject(session);
    if (found === null) return compareKept(session, database);
    if (await hasLedger(session))
      throw new DbbackupError('target_not_empty', `a restore into database ${JSON.stringify(name)} was interrupted`, {
        details: { object: name, hint: 'Go on with it: the same command with --resume; or drop the database and begin anew.' },
      });
    throw new DbbackupError('target_not_empty', `database ${JSON.stringify(name)} exists and is not empty: it holds ${found}`, {
      details: {
        object: name,
        hint: isFixed
          ? 'Empty it, or leave it out with --exclude-database.'
          : 'Leave it out with --exclude-database, or drop it and create it anew with --clean --yes.',
      },
    });
  }

  #isFixed(name: string): boolean {
    return fixedDatabases.has(name) || name === this.#parts.session.info().database;
  }

  async #restoreDatabase(database: ManifestDatabase, state: TargetState, before: Amount): Promise<DatabaseRestored> {
    if (state === 'complete') return { warnings: [], checkedRelationCount: undefined };
    const { id, storage, pgRestore, scratch, databases, context } = this.#parts;
    const stem = join(scratch, `database-${database.number}`);
    const archivePath = `${stem}.dump`;
    await unpackSchema(await storage.localPath(nameInBackup(id, database.schema.path)), archivePath);
    try {
      const script = await readDatabaseScript({
        pgRestore,
        archivePath,
        scratchPath: stem,
        object: `database ${JSON.stringify(database.name)}`,
        host: processHost,
        signal: context.signal,
      });
      // One that was begun has its properties.
      if (state !== 'begun')
        await this.#phase({ database: database.name }, 'database', () => this.#prepareDatabase(database, state === 'there', script));
      return await this.#withDatabase(database.name, (session) =>
        this.#restoreContents(database, session, archivePath, before, toTotals(databases).rawBytes),
      );
    } catch (error) {
      throw nameDatabase(toDbbackupError(error), database.name);
    } finally {
      await rm(archivePath, { force: true });
    }
  }

  /** Creates the database unless it is to be filled as it is, and gives it its properties. */
  async #prepareDatabase(database: ManifestDatabase, exists: boolean, { settings, creation, properties }: DatabaseScript): Promise<void> {
    const { options, session, psql, context } = this.#parts;
    const isKept = exists && (options.isCleaning !== true || this.#isFixed(database.name));
    const object = `database ${JSON.stringify(database.name)}`;
    const run = async (statements: readonly string[]): Promise<void> => {
      this.#warn(
        await runScript({
          psql,
          connection: toLoadingConnection(session),
          object,
          script: [...settings, ...statements, ''].join('\n'),
          isTransaction: false,
          host: processHost,
          signal: context.signal,
        }),
      );
    };
    // pg_restore has no option to leave the tablespace out of this statement.
    const hasTablespace = options.areTablespacesLeftOut === true && creation.some((sql) => / TABLESPACE = /.test(sql));
    const create = async (): Promise<void> => {
      if (hasTablespace) await session.query(await createStatement(session, database.name, database));
      else await run(toCreationFor(creation, toMajor(session.info().serverVersion)));
    };
    if (!isKept) await (exists ? this.#replace(database.name, create) : create());
    await run(properties);
  }

  /** The old database goes once the new one is created, before its contents are restored. Where it cannot go it gets its name back. */
  async #replace(name: string, create: () => Promise<void>): Promise<void> {
    const { session } = this.#parts;
    // Since all databases were looked at, others may have taken a long time.
    await checkDroppable(session, name);
    const oldName = `${oldPrefix}${randomBytes(6).toString('hex')}`;
    const isTemplate =
      (await session.query('SELECT datistemplate FROM pg_catalog.pg_database WHERE datname = $1', [name])).rows[0]?.[0] === 't';
    try {
      await session.query(await formatSql(session, 'ALTER DATABASE %I RENAME TO %I', [name, oldName]));
      await create();
      // A template cannot be dropped.
      await session.query(await formatSql(session, 'ALTER DATABASE %I IS_TEMPLATE false', [oldName]));
      await session.query(await formatSql(session, 'DROP DATABASE %I', [oldName]));
    } catch (error) {
      const failure = await afterFailure(error, () => this.#putBack(name, oldName, isTemplate));
      const { later = [] } = failure.details;
      if (later.length === 0) throw failure;
      const hint = `The old database may be there as ${oldName}: rename it by hand.`;
      throw new DbbackupError(failure.code, failure.message, { cause: error, details: { ...failure.details, hint } });
    }
  }

  /** Not to be cancelled, and over a session of its own: whatever came of the attempt, this takes a moment. */
  async #putBack(name: string, oldName: string, isTemplate: boolean): Promise<void> {
    const { options, session: lost } = this.#parts;
    const overrides = { ...toSameServer(lost), dbname: lost.info().database };
    await withSession(options.connection, { applicationName: 'dbbackup', overrides }, async (session) => {
      const run = async (template: string, names: readonly string[]) => session.query(await formatSql(session, template, names));
      await session.query('SET default_transaction_read_only TO off');
      const { rows } = await session.query('SELECT datname FROM pg_catalog.pg_database WHERE datname = ANY (ARRAY[$1, $2])', [
        name,
        oldName,
      ]);
      const found = rows.map(([datname]) => datname);
      if (!found.includes(oldName)) return;
      if (found.includes(name)) await run('DROP DATABASE %I', [name]);
      await run('ALTER DATABASE %I RENAME TO %I', [oldName, name]);
      if (isTemplate) await run('ALTER DATABASE %I IS_TEMPLATE true', [name]);
    });
  }

  async #restoreContents(
    database: ManifestDatabase,
    session: Session,
    archivePath: string,
    before: Amount,
    totalRawBytes: number,
  ): Promise<DatabaseRestored> {
    const { id, manifest, options, jobs, storage, pgRestore, psql, scratch, context } = this.#parts;
    const archive: RestoreArchiveOptions = {
      ...toArchiveOptions(session, { pgRestore, psql }, archivePath, context.signal),
      areTablespacesDropped: options.areTablespacesLeftOut === true,
    };
    for (const sql of prelude('UTF8', 'write')) await session.query(sql);
    const choice = chooseRestore(database, toSelection({}));
    const known = options.isResuming === true && (await hasLedger(session)) ? await readLedgerRun(session) : null;
    const present = known?.present ?? (await examineTarget(session, database, choice));
    const scope = await scopeArchive(manifest, database, archive, choice, present);
    const decisions = { 'no-tablespaces': options.areTablespacesLeftOut === true };
    const run = { backupId: id, database: database.number, options: decisions, present };
    const { ledger, areDefinitionsAtomic } = await openLedger(session, { known, run, scope, choice });
    const databaseRestore = new DatabaseRestore({
      id,
      manifest,
      database: scope.database,
      whole: database,
      scope,
      selection: choice.selection,
      schemaMap: {},
      ledger,
      isResuming: known !== null,
      isLedgerKept: true,
      areDefinitionsAtomic,
      options,
      connection: options.connection,
      overrides: { dbname: database.name },
      isNamed: true,
      before,
      totalRawBytes,
      signal: context.signal,
      emit: this.#emit,
      jobs,
      storage,
      session,
      archive,
      scratch,
    });
    const restored = await withLedger(ledger, () => databaseRestore.run());
    await ledger.note(contentsPart);
    return restored;
  }

  #withDatabase<T>(name: string, use: (session: Session) => Promise<T>): Promise<T> {
    const { id, options, session, context } = this.#parts;
    const overrides = { ...toSameServer(session), dbname: name };
    return withSession(options.connection, { applicationName: `dbbackup ${id}`, signal: context.signal, overrides }, use);
  }

  async #phase(tag: { readonly database?: string }, phase: string, run: () => Promise<void>): Promise<void> {
    const startedMs = systemClock.monotonicMs();
    this.#emit({ type: 'phase.started', ...tag, phase });
    await run();
    this.#emit({ type: 'phase.finished', ...tag, phase, elapsedMs: Math.round(systemClock.monotonicMs() - startedMs) });
  }

  #warn(messages: readonly string[]): void {
    for (const message of messages) {
      this.#warnings.push(message);
      this.#emit({ type: 'warning', message });
    }
  }
}
