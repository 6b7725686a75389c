import { rm, writeFile } from 'node:fs/promises';
import { DbbackupError } from '../core/errors.js';
import { type ArchiveEntry, parseArchiveList } from './archive-list.js';
import { toConnectionString } from './connection-string.js';
import { addNotValid } from './not-valid.js';
import { dropUnknownSettings } from './prologue.js';
import { runTool, runToolPipe, type ToolFilter, type ToolOptions } from './run-tool.js';
import type { Tool, ToolConnection, ToolRun } from './tool.js';

export interface RestoreArchiveOptions extends ToolOptions {
  /** Of the target's major version, or newer if the archive was written by a newer pg_dump. */
  readonly pgRestore: Tool;
  /** Installed together with `pgRestore` (`findCompanion`); needed when that is newer than the target, else it may be null. */
  readonly psql: Tool | null;
  readonly connection: ToolConnection;
  /** Major version of the target server. */
  readonly targetMajor: number;
  /** Absolute path of the archive, in custom format. */
  readonly archivePath: string;
  /** Leave all objects to the connecting role. Default: false. */
  readonly isOwnerDropped?: boolean;
  /** Leave GRANT and REVOKE out. Default: false. */
  readonly arePrivilegesDropped?: boolean;
  /** A role to become after connecting. Default: none. */
  readonly role?: string;
  /** Leave everything to the target's default tablespace. Default: false. */
  readonly areTablespacesDropped?: boolean;
}

/** Part of an archive: entries by list (null: all), within a section. */
export interface ArchivePart {
  /** Null: whichever the entries are in. */
  readonly section: 'pre-data' | 'data' | 'post-data' | null;
  readonly entries: readonly ArchiveEntry[] | null;
  /** Connections of pg_restore; ignored, as 1, when the pg_restore is newer than the target. */
  readonly jobs: number;
  /** What is restored, for errors: `indexes of public.orders`. */
  readonly what: string;
  /** Absolute path for a temporary list file; removed afterwards. Needed with `entries`. */
  readonly listPath: string | null;
  /** All in one transaction, with one connection. Default: false. */
  readonly isAtomic?: boolean;
  /** The one entry is a foreign key that checks no rows that are there. Default: false. */
  readonly isNotValid?: boolean;
}

/** The entries of an archive, in its order, with their dependencies. */
export const listArchive = async (
  options: Pick<RestoreArchiveOptions, 'pgRestore' | 'archivePath' | 'host' | 'signal'>,
): Promise<readonly ArchiveEntry[]> => {
  const run = {
    tool: options.pgRestore,
    args: ['--list', '--verbose', options.archivePath],
    connection: null,
    object: options.archivePath,
  };
  return parseArchiveList((await runTool(run, options)).stdout);
};

/** Dump ids of the entries that pg_restore picks when it is told schemas by name. It is asked, since names cannot be read out of its list. */
export const listSchemaIds = async (
  options: Pick<RestoreArchiveOptions, 'pgRestore' | 'archivePath' | 'host' | 'signal'>,
  schemas: readonly string[],
  excludedSchemas: readonly string[],
): Promise<ReadonlySet<number>> => {
  const selection = [...schemas.map((name) => `--schema=${name}`), ...excludedSchemas.map((name) => `--exclude-schema=${name}`)];
  const args = ['--list', ...selection, options.archivePath];
  const run = { tool: options.pgRestore, args, connection: null, object: options.archivePath };
  return new Set(parseArchiveList((await runTool(run, options)).stdout).map(({ dumpId }) => dumpId));
};

/** Types, functions, tables and all else that rows need: of these entries, or all when that is null. Resolves with warnings. */
export const restorePreData = (
  options: RestoreArchiveOptions,
  entries: readonly ArchiveEntry[] | null = null,
  listPath: string | null = null,
  isAtomic = false,
): Promise<readonly string[]> => restorePart(options, { section: 'pre-data', entries, jobs: 1, what: 'definitions', listPath, isAtomic });

/** Some entries, for example the indexes of one relation, with up to `jobs` connections. */
export const restoreEntries = (
  options: RestoreArchiveOptions,
  part: { readonly entries: readonly ArchiveEntry[]; readonly jobs: number; readonly what: string; readonly listPath: string },
): Promise<readonly string[]> => restorePart(options, { section: 'post-data', ...part });

/** Comments, which have no section of their own. */
export const restoreComments = (
  options: RestoreArchiveOptions,
  part: { readonly entries: readonly ArchiveEntry[]; readonly listPath: string },
): Promise<readonly string[]> => restorePart(options, { section: null, jobs: 1, what: 'comments', ...part });

/** A foreign key, made without a look at the rows that are there. Errors: those of `restoreEntries`, `tools_missing` without psql. */
export const restoreNotValid = async (
  options: RestoreArchiveOptions,
  part: { readonly entry: ArchiveEntry; readonly what: string; readonly listPath: string },
): Promise<readonly string[]> =>
  restorePart(options, {
    section: 'post-data',
    entries: [part.entry],
    jobs: 1,
    what: part.what,
    listPath: part.listPath,
    isNotValid: true,
  });

/** All that comes after the rows, but for entries restored before: `rest` of `groupPostData`. */
export const restorePostData = (
  options: RestoreArchiveOptions,
  part: { readonly rest: readonly ArchiveEntry[]; readonly jobs: number; readonly listPath: string },
): Promise<readonly string[]> =>
  restorePart(options, {
    section: 'post-data',
    entries: part.rest,
    jobs: part.jobs,
    what: 'indexes, constraints and triggers',
    listPath: part.listPath,
  });

/** Restores part of an archive and stops at the first error. A pg_restore newer than the target writes SQL for psql, less the settings the target does not know. */
export const restorePart = async (options: RestoreArchiveOptions, part: ArchivePart): Promise<readonly string[]> => {
  const { entries, listPath } = part;
  if (entries === null) return run(options, part);
  if (entries.length === 0) return [];
  if (listPath === null) throw new DbbackupError('internal', 'entries were given without a place for their list');
  try {
    await writeFile(listPath, entries.map(({ line }) => `${line}\n`).join(''), { mode: 0o600 });
  } catch (error) {
    throw new DbbackupError('io_error', `${listPath} could not be written`, { cause: error, details: { path: listPath } });
  }
  try {
    return await run(options, part);
  } finally {
    await rm(listPath, { force: true });
  }
};

const run = async (options: RestoreArchiveOptions, part: ArchivePart): Promise<readonly string[]> => {
  const { section, entries, jobs, what, listPath } = part;
  const atomic = part.isAtomic === true ? ['--single-transaction'] : [];
  const { pgRestore, psql, connection, archivePath, targetMajor } = options;
  const object = `${what} of ${connection.info.database}`;
  const selection = [
    ...(section === null ? [] : [`--section=${section}`]),
    ...(entries === null || listPath === null ? [] : [`--use-list=${listPath}`]),
    ...(options.isOwnerDropped === true ? ['--no-owner'] : []),
    ...(options.arePrivilegesDropped === true ? ['--no-privileges'] : []),
    ...(options.role === undefined ? [] : [`--role=${options.role}`]),
    ...(options.areTablespacesDropped === true ? ['--no-tablespaces'] : []),
  ];
  const target = `--dbname=${toConnectionString(connection)}`;
  if (pgRestore.major <= targetMajor && part.isNotValid !== true) {
    const parallel = jobs > 1 ? [`--jobs=${jobs}`] : [];
    const args = [...selection, ...parallel, ...atomic, '--exit-on-error', '--no-password', target, archivePath];
    return (await runTool({ tool: pgRestore, args, connection, object }, options)).warnings;
  }
  if (psql === null)
    throw new DbbackupError('tools_missing', `psql was not found beside ${pgRestore.path}`, { details: { object: 'psql' } });
  const writer: ToolRun = { tool: pgRestore, args: [...selection, '--file=-', archivePath], connection: null, object };
  const reader: ToolRun = {
    tool: psql,
    // One transaction needs a file: the standard input is one.
    args: ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', ...atomic, '--file=-', '--no-password', target],
    connection,
    object,
  };
  const dropUnknown = dropUnknownSettings(targetMajor);
  const filter: ToolFilter = part.isNotValid === true ? (source) => addNotValid(dropUnknown(source)) : dropUnknown;
  return runToolPipe(writer, filter, reader, options);
};
