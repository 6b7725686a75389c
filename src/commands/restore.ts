import { join } from 'node:path';
import { prelude } from '../catalog/prelude.js';
import { createEmit, systemClock } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import { type Selection, sectionNames, toSelection } from '../core/selection.js';
import type { Manifest, ManifestDatabase } from '../manifest/schema.js';
import { checkFilesPresent, readManifest } from '../manifest/store.js';
import { hashFile } from '../native/hash-file.js';
import { measureMemory, processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { nameInBackup } from '../storage/layout.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import type { LocalStorage } from '../storage/storage.js';
import { chooseTool, findCompanion, findTools, toMajor } from '../tools/find-tools.js';
import { listArchive, listSchemaIds, type RestoreArchiveOptions } from '../tools/restore-archive.js';
import { type Tool, type ToolConnection, toToolConnection } from '../tools/tool.js';
import { unpackSchema, withScratch } from './archives.js';
import type { RestoreOptions, RestoreReport, RunContext } from './options.js';
import { chooseRestore } from './restore-choice.js';
import { DatabaseRestore } from './restore-database.js';
import { areSchemasNamed, examineTarget, scopeRestore } from './restore-scope.js';
import { checkSchemaMap } from './schema-map.js';
import { withSession } from './sessions.js';
import { toBytesPerSecond, toJobs } from './settings.js';
import { prepareTarget } from './target.js';

/**
 * Restores a backup into a database that is empty, or created by it. Rows are proved equal to those that were read before their transaction commits.
 * A restore that fails leaves the target as far as it had come.
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
  await checkFilesPresent(storage, manifest);
  const [database] = manifest.databases;
  if (database === undefined) throw new DbbackupError('manifest_damaged', `backup ${id} holds no database`, { details: { object: id } });
  const choice = chooseRestore(database, toSelection(options.selection ?? {}));
  checkCombination(options, choice.selection);
  checkSections(manifest, choice.selection);
  const tools = await findTools({ names: ['pg_restore', 'psql'], binDir: options.pgBinDir, host: processHost, signal });

  const chooseTools = (serverVersion: number): Pick<RestoreArchiveOptions, 'pgRestore' | 'psql'> =>
    chooseRestoreTools(tools, Number.parseInt(database.schema.pgDumpVersion, 10), toMajor(serverVersion));
  await checkArchive(storage, id, database, signal);
  return withScratch(async (scratch) => {
    const archivePath = join(scratch, 'schema.dump');
    await unpackSchema(await storage.localPath(nameInBackup(id, database.schema.path)), archivePath);
    await prepareTarget(options, database, async (serverVersion) => void chooseTools(serverVersion), signal);
    return withSession(options.connection, { applicationName: `dbbackup ${id}`, signal }, async (session) => {
      // Names come as UTF-8, and what they mean depends on nobody's settings.
      for (const sql of prelude('UTF8', 'write')) await session.query(sql);
      const present = await examineTarget(session, database, choice);
      const schemaMap = options.schemaMap ?? {};
      await checkSchemaMap(session, database, schemaMap, present.isEmpty);
      const startedMs = systemClock.monotonicMs();
      const { serverVersion } = session.info();
      const archive: RestoreArchiveOptions = {
        ...chooseTools(serverVersion),
        connection: toLoadingConnection(session),
        targetMajor: toMajor(serverVersion),
        archivePath,
        host: processHost,
        signal,
        isOwnerDropped: options.isOwnerDropped === true || manifest.options.isOwnerDropped,
        arePrivilegesDropped: options.arePrivilegesDropped === true || manifest.options.arePrivilegesDropped,
        ...(options.connection.role === undefined ? {} : { role: options.connection.role }),
      };
      const listed = {
        entries: await listArchive(archive),
        listIds: (schemas: readonly string[], excluded: readonly string[]) => listSchemaIds(archive, schemas, excluded),
      };
      const scope = await scopeRestore(database, listed, choice, present, areSchemasNamed(manifest));
      const name = session.info().database;
      emit({ type: 'restore.started', id, database: name });
      const { connection } = options;
      const { warnings, checkedRelationCount } = await new DatabaseRestore({
        id,
        manifest,
        database: scope.database,
        whole: database,
        scope,
        selection: choice.selection,
        schemaMap,
        options,
        connection,
        signal,
        emit,
        jobs,
        storage,
        session,
        archive,
        scratch,
      }).run();
      const { rowCount, rawBytes, relationCount } = toTotals(scope.database);
      const elapsedMs = Math.round(systemClock.monotonicMs() - startedMs);
      const speed = { elapsedMs, bytesPerSecond: toBytesPerSecond(rawBytes, elapsedMs), peakRssBytes: measureMemory().peakRssBytes };
      emit({ type: 'restore.finished', id, rowCount, rawBytes, ...speed });
      const report = { id, database: name, relationCount, rowCount, rawBytes, ...speed, warnings };
      return checkedRelationCount === undefined ? report : { ...report, checkedRelationCount };
    });
  });
};

/** Errors: `usage` for options that contradict each other. */
const checkCombination = (options: RestoreOptions, { sections }: Selection): void => {
  const refuse = (message: string): never => {
    throw new DbbackupError('usage', message);
  };
  const isLoadingAlone = sections.includes('data') && !sections.includes('pre-data');
  if (options.isAppending === true && !isLoadingAlone)
    refuse('rows are added only to tables that are not created: --append needs --data-only');
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

/** What is loaded of a database. */
const toTotals = ({
  relations,
  largeObjects,
}: ManifestDatabase): { readonly rowCount: number; readonly rawBytes: number; readonly relationCount: number } => {
  const parts = [...relations, ...(largeObjects === null ? [] : [largeObjects.content, largeObjects.metadata])];
  return {
    rowCount: parts.reduce((sum, { rowCount }) => sum + rowCount, 0),
    rawBytes: parts.reduce((sum, { rawBytes }) => sum + rawBytes, 0),
    relationCount: relations.length,
  };
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

/** Proves the schema archive to be what was written, before anything is done to the target: pg_restore would believe it. */
const checkArchive = async (
  storage: LocalStorage,
  id: string,
  { schema: { path, sha256 } }: ManifestDatabase,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const storedPath = await storage.localPath(nameInBackup(id, path));
  if ((await hashFile(storedPath, 'sha256', { signal })) === sha256) return;
  throw new DbbackupError('data_damaged', `${path} is not what was written: its SHA-256 differs`, {
    details: { object: path, path: storedPath },
  });
};

/** For tools that write: commits need not wait for the disk one by one, since the last one of the restore does, for all before it. */
const toLoadingConnection = (session: Session): ToolConnection => {
  const { info, password } = toToolConnection(session);
  const options = `${info.options['options'] ?? ''} -c synchronous_commit=off`.trim();
  return { info: { ...info, options: { ...info.options, options } }, password };
};
