import { join } from 'node:path';
import { prelude } from '../catalog/prelude.js';
import { createEmit, systemClock } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import { isEverything, type Selection, sectionNames, toSelection } from '../core/selection.js';
import { noAmount } from '../engine/progress.js';
import type { Manifest } from '../manifest/schema.js';
import { checkFilesPresent, listArchives, readManifest } from '../manifest/store.js';
import { measureMemory, processHost } from '../native/host.js';
import { nameInBackup } from '../storage/layout.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import { findTools, toMajor } from '../tools/find-tools.js';
import type { RestoreArchiveOptions } from '../tools/restore-archive.js';
import { unpackSchema, withScratch } from './archives.js';
import type { RestoreOptions, RestoreReport, RunContext } from './options.js';
import { chooseRestore } from './restore-choice.js';
import { DatabaseRestore } from './restore-database.js';
import { checkArchives, chooseDatabase, chooseRestoreTools, scopeArchive, toArchiveOptions, toTotals } from './restore-parts.js';
import { findRun, openLedger, toDecisions, withLedger } from './restore-resume.js';
import { examineTarget } from './restore-scope.js';
import { checkMappedNames, checkSchemaMap } from './schema-map.js';
import { withSession } from './sessions.js';
import { toBytesPerSecond, toJobs } from './settings.js';
import { prepareTarget } from './target.js';

/**
 * Restores a backup into a database that is empty, or created by it. Rows are proved equal to those that were read before their transaction commits.
 * A restore that fails leaves the target as far as it had come; with `isResuming` it is gone on with.
 *
 * Errors: `backup_not_found`, `backup_unfinished`, `manifest_damaged`, `data_damaged`, `target_not_empty`, `target_exists`, `tools_missing`, `tools_too_old`,
 * `tool_failed`, `type_missing`, `role_missing`, `content_differs` (with `isChecking`), those of connecting, `cancelled`.
 */
export const restore = async (options: RestoreOptions, context: RunContext = {}): Promise<RestoreReport> => {
  const { signal } = context;
  const emit = createEmit([context.onEvent]);
  const jobs = toJobs(options.jobs);
  const storage = openLocalStorage(options.outputDir);
  const { id } = await (await openRepository(storage)).findFinished(options.id);
  const manifest = await readManifest(storage, id);
  const database = chooseDatabase(manifest, options.database);
  const part = { databases: [database], hasGlobals: false };
  await checkFilesPresent(storage, manifest, part);
  const choice = chooseRestore(database, toSelection(options.selection ?? {}));
  checkCombination(options, choice.selection);
  checkSections(manifest, choice.selection);
  checkMappedNames(database, options.schemaMap ?? {});
  const tools = await findTools({ names: ['pg_restore', 'psql'], binDir: options.pgBinDir, host: processHost, signal });

  const chooseTools = (serverVersion: number) => chooseRestoreTools(tools, [database], toMajor(serverVersion));
  await checkArchives(storage, id, listArchives(manifest, part), signal);
  return withScratch(async (scratch) => {
    const archivePath = join(scratch, 'schema.dump');
    await unpackSchema(await storage.localPath(nameInBackup(id, database.schema.path)), archivePath);
    await prepareTarget(options, database, async (serverVersion) => void chooseTools(serverVersion), signal);
    return withSession(options.connection, { applicationName: `dbbackup ${id}`, signal }, async (session) => {
      // Names come as UTF-8, and what they mean depends on nobody's settings.
      for (const sql of prelude('UTF8', 'write')) await session.query(sql);
      const known = await findRun(session, options, choice);
      const present = known?.present ?? (await examineTarget(session, database, choice));
      const schemaMap = options.schemaMap ?? {};
      if (known === null) await checkSchemaMap(session, schemaMap, present.isEmpty);
      const startedMs = systemClock.monotonicMs();
      const archive: RestoreArchiveOptions = {
        ...toArchiveOptions(session, chooseTools(session.info().serverVersion), archivePath, signal),
        isOwnerDropped: options.isOwnerDropped === true || manifest.options.isOwnerDropped,
        arePrivilegesDropped: options.arePrivilegesDropped === true || manifest.options.arePrivilegesDropped,
        areTablespacesDropped: options.areTablespacesLeftOut === true,
        ...(options.connection.role === undefined ? {} : { role: options.connection.role }),
      };
      const scope = await scopeArchive(manifest, database, archive, choice, present);
      const run = { backupId: id, database: database.number, options: toDecisions(options, choice.selection), present };
      const { ledger, areDefinitionsAtomic } = await openLedger(session, { known, run, scope, choice });
      const name = session.info().database;
      emit({ type: 'restore.started', id, database: name });
      const { connection } = options;
      const { rowCount, rawBytes, relationCount } = toTotals([scope.database]);
      const databaseRestore = new DatabaseRestore({
        id,
        manifest,
        database: scope.database,
        whole: database,
        scope,
        selection: choice.selection,
        schemaMap,
        ledger,
        isResuming: known !== null,
        isLedgerKept: false,
        areDefinitionsAtomic,
        options,
        connection,
        overrides: {},
        isNamed: false,
        before: noAmount,
        totalRawBytes: rawBytes,
        signal,
        emit,
        jobs,
        storage,
        session,
        archive,
        scratch,
      });
      const { warnings, checkedRelationCount } = await withLedger(ledger, () => databaseRestore.run());
      const elapsedMs = Math.round(systemClock.monotonicMs() - startedMs);
      const speed = { elapsedMs, bytesPerSecond: toBytesPerSecond(rawBytes, elapsedMs), peakRssBytes: measureMemory().peakRssBytes };
      emit({ type: 'restore.finished', id, rowCount, rawBytes, ...speed });
      const partOf = !isEverything(choice.selection) ? 'backup' : manifest.options.selection === null ? null : 'database';
      const report = { id, database: name, relationCount, rowCount, rawBytes, ...speed, partOf, warnings } as const;
      return checkedRelationCount === undefined ? report : { ...report, checkedRelationCount };
    });
  });
};

/** Errors: `usage` for options that contradict each other. */
const checkCombination = (options: RestoreOptions, { sections }: Selection): void => {
  const refuse = (message: string): never => {
    throw new DbbackupError('usage', message);
  };
  if (options.isCleaning === true && options.isResuming === true)
    refuse('a restore goes on in the database it has begun: --clean would drop it');
  if ((options.isCleaning === true || options.isCreating === true) && !sections.includes('pre-data'))
    refuse('a database is created or replaced only where definitions are restored: rows or indexes alone need one that has the tables');
  const isLoadingAlone = sections.includes('data') && !sections.includes('pre-data');
  if (options.isAppending === true && !isLoadingAlone)
    refuse('rows are added only to tables that are not created: --append needs --data-only');
  if (!sections.includes('data')) {
    if (options.isChecking === true) refuse('without rows there is nothing to compare: --check needs the section data');
    if (options.isLoadingViaRoot === true)
      refuse('without rows nothing goes through a root: --load-via-partition-root needs the section data');
  }
  if (options.isAppending === true && options.isChecking === true) refuse('rows that were there already cannot be told from added ones');
  if (options.areTriggersDisabled === true && !isLoadingAlone) refuse('triggers are disabled only with --data-only');
  if (Object.keys(options.schemaMap ?? {}).length === 0) return;
  if (sections.length < 3) refuse('schemas can be renamed only where all sections are restored');
  if (options.isCleaning === true) refuse('schemas are not renamed in a database that was dropped for it: a refusal would come too late');
};

/** A backup of some sections cannot give others; rows without definitions are loaded only where that was said. Errors: `definitions_missing`. */
const checkSections = ({ id, options }: Manifest, { sections }: Selection): void => {
  const held = options.selection?.sections ?? sectionNames;
  const isDefault = sections.length === sectionNames.length;
  const missing = (isDefault ? (['pre-data'] as const) : sections).find((section) => !held.includes(section));
  if (missing === undefined) return;
  const what = missing === 'data' ? 'rows' : 'definitions';
  throw new DbbackupError('definitions_missing', `backup ${id} holds no ${what}: its sections are ${held.join(', ')}`, {
    details: { object: id },
  });
};
