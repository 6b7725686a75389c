import { join } from 'node:path';
import { createEmit, systemClock } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import type { ManifestDatabase } from '../manifest/schema.js';
import { checkFilesPresent, readManifest } from '../manifest/store.js';
import { hashFile } from '../native/hash-file.js';
import { measureMemory, processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { nameInBackup } from '../storage/layout.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import type { LocalStorage } from '../storage/storage.js';
import { chooseTool, findCompanion, findTools, toMajor } from '../tools/find-tools.js';
import type { RestoreArchiveOptions } from '../tools/restore-archive.js';
import { type Tool, type ToolConnection, toToolConnection } from '../tools/tool.js';
import { unpackSchema, withScratch } from './archives.js';
import type { RestoreOptions, RestoreReport, RunContext } from './options.js';
import { DatabaseRestore } from './restore-database.js';
import { withSession } from './sessions.js';
import { toBytesPerSecond, toJobs } from './settings.js';
import { checkEmpty, prepareTarget } from './target.js';

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
  const tools = await findTools({ names: ['pg_restore', 'psql'], binDir: options.pgBinDir, host: processHost, signal });

  const chooseTools = (serverVersion: number): Pick<RestoreArchiveOptions, 'pgRestore' | 'psql'> =>
    chooseRestoreTools(tools, Number.parseInt(database.schema.pgDumpVersion, 10), toMajor(serverVersion));
  await checkArchive(storage, id, database, signal);
  return withScratch(async (scratch) => {
    const archivePath = join(scratch, 'schema.dump');
    await unpackSchema(await storage.localPath(nameInBackup(id, database.schema.path)), archivePath);
    await prepareTarget(options, database, async (serverVersion) => void chooseTools(serverVersion), signal);
    return withSession(options.connection, { applicationName: `dbbackup ${id}`, signal }, async (session) => {
      await checkEmpty(session);
      const startedMs = systemClock.monotonicMs();
      const { serverVersion } = session.info();
      const archive: RestoreArchiveOptions = {
        ...chooseTools(serverVersion),
        connection: toLoadingConnection(session),
        targetMajor: toMajor(serverVersion),
        archivePath,
        host: processHost,
        signal,
      };
      const name = session.info().database;
      emit({ type: 'restore.started', id, database: name });
      const { connection } = options;
      const { warnings, checkedRelationCount } = await new DatabaseRestore({
        id,
        manifest,
        database,
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
      const { rowCount, rawBytes, relationCount } = manifest.totals;
      const elapsedMs = Math.round(systemClock.monotonicMs() - startedMs);
      const speed = { elapsedMs, bytesPerSecond: toBytesPerSecond(rawBytes, elapsedMs), peakRssBytes: measureMemory().peakRssBytes };
      emit({ type: 'restore.finished', id, rowCount, rawBytes, ...speed });
      const report = { id, database: name, relationCount, rowCount, rawBytes, ...speed, warnings };
      return checkedRelationCount === undefined ? report : { ...report, checkedRelationCount };
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
