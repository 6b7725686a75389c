/** What restoring one database and restoring a cluster have in common. */
import { DbbackupError } from '../core/errors.js';
import type { Manifest, ManifestArchive, ManifestDatabase } from '../manifest/schema.js';
import { listRows } from '../manifest/streams.js';
import { hashFile } from '../native/hash-file.js';
import { processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { nameInBackup } from '../storage/layout.js';
import type { LocalStorage } from '../storage/storage.js';
import { chooseTool, findCompanion, toMajor } from '../tools/find-tools.js';
import { listArchive, listSchemaIds, type RestoreArchiveOptions } from '../tools/restore-archive.js';
import { type Tool, type ToolConnection, toToolConnection } from '../tools/tool.js';
import type { RestoreChoice } from './restore-choice.js';
import { areSchemasNamed, type Present, type RestoreScope, scopeRestore } from './restore-scope.js';

/** The database that is asked for, or the only one. */
export const chooseDatabase = ({ id, databases }: Manifest, name: string | undefined): ManifestDatabase => {
  const [first, ...others] = databases;
  const hint = `Its databases are ${databases.map((database) => JSON.stringify(database.name)).join(', ')}.`;
  if (name === undefined) {
    if (first !== undefined && others.length === 0) return first;
    throw new DbbackupError('usage', `backup ${id} holds ${databases.length} databases: say which one to restore`, {
      details: { object: id, hint: `Add --database NAME, or restore all with dbbackup restore cluster. ${hint}` },
    });
  }
  const found = databases.find((database) => database.name === name);
  if (found === undefined)
    throw new DbbackupError('usage', `backup ${id} holds no database ${JSON.stringify(name)}`, { details: { object: name, hint } });
  return found;
};

/** A pg_restore that reads the archives and knows the server; one that is newer than the server needs its psql. */
export const chooseRestoreTools = (
  tools: readonly Tool[],
  databases: readonly ManifestDatabase[],
  targetMajor: number,
): Pick<RestoreArchiveOptions, 'pgRestore' | 'psql'> => {
  const archiveMajors = databases.map(({ schema }) => Number.parseInt(schema.pgDumpVersion, 10));
  const pgRestore = chooseTool(tools, 'pg_restore', Math.max(targetMajor, ...archiveMajors));
  const psql = findCompanion(tools, pgRestore, 'psql');
  if (psql === null && pgRestore.major > targetMajor) {
    throw new DbbackupError('tools_missing', `psql was not found beside ${pgRestore.path}`, { details: { object: 'psql' } });
  }
  return { pgRestore, psql };
};

/** Proves the archives to be what was written, before anything is done to the target: pg_restore would believe them. */
export const checkArchives = async (
  storage: LocalStorage,
  id: string,
  archives: readonly ManifestArchive[],
  signal: AbortSignal | undefined,
): Promise<void> => {
  for (const { path, sha256 } of archives) {
    const storedPath = await storage.localPath(nameInBackup(id, path));
    if ((await hashFile(storedPath, 'sha256', { signal })) === sha256) continue;
    throw new DbbackupError('data_damaged', `${path} is not what was written: its SHA-256 differs`, {
      details: { object: path, path: storedPath },
    });
  }
};

/** For tools that restore an archive into the database `session` is connected to. */
export const toArchiveOptions = (
  session: Session,
  tools: Pick<RestoreArchiveOptions, 'pgRestore' | 'psql'>,
  archivePath: string,
  signal: AbortSignal | undefined,
): RestoreArchiveOptions => ({
  ...tools,
  connection: toLoadingConnection(session),
  targetMajor: toMajor(session.info().serverVersion),
  archivePath,
  host: processHost,
  signal,
});

/**
 * For tools that write: commits need not wait for the disk one by one, since the last one of the restore does, for all before it. A database may be set to begin its
 * transactions as read-only.
 */
export const toLoadingConnection = (session: Session): ToolConnection => {
  const { info, password } = toToolConnection(session);
  const options = `${info.options['options'] ?? ''} -c synchronous_commit=off -c default_transaction_read_only=off`.trim();
  return { info: { ...info, options: { ...info.options, options } }, password };
};

/** Sums over the rows of some databases. */
export const toTotals = (databases: readonly ManifestDatabase[]) => {
  const rows = databases.flatMap(listRows);
  const sum = (field: 'rowCount' | 'rawBytes' | 'storedBytes'): number => rows.reduce((total, part) => total + part[field], 0);
  const relationCount = databases.reduce((total, { relations }) => total + relations.length, 0);
  return { rowCount: sum('rowCount'), rawBytes: sum('rawBytes'), storedBytes: sum('storedBytes'), relationCount };
};

/** Which entries of the archive and which rows go into a target that has `present`. Errors: as `scopeRestore`, and those of pg_restore. */
export const scopeArchive = async (
  manifest: Manifest,
  database: ManifestDatabase,
  archive: RestoreArchiveOptions,
  choice: RestoreChoice,
  present: Present,
): Promise<RestoreScope> => {
  const listed = {
    entries: await listArchive(archive),
    listIds: (schemas: readonly string[], excluded: readonly string[]) => listSchemaIds(archive, schemas, excluded),
  };
  return scopeRestore(database, listed, choice, present, areSchemasNamed(manifest));
};
