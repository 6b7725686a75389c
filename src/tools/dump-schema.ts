import { type Selection, sectionNames } from '../core/selection.js';
import { toConnectionString } from './connection-string.js';
import { runTool, type ToolOptions } from './run-tool.js';
import type { Tool, ToolConnection } from './tool.js';

export interface DumpOptions extends ToolOptions {
  /** pg_dump of the server's major version or newer. */
  readonly pgDump: Tool;
  /** To the server that exported the snapshot. */
  readonly connection: ToolConnection;
  /** An exported snapshot whose transaction holds a lock on every relation. */
  readonly snapshot: string;
  /** Absolute path of the archive; an existing file is overwritten. Not fsynced: it is an intermediate file. */
  readonly outPath: string;
  /**
   * How long pg_dump waits for a lock. A DDL statement may be waiting for the snapshot's holder and let nobody pass: without a limit both would wait for ever.
   * Default: 30 seconds.
   */
  readonly lockTimeoutMs?: number | undefined;
  /** Which definitions: the arguments of `toDumpSelection`. Default: all. */
  readonly selectionArguments?: readonly string[];
}

export interface DumpSelection {
  readonly selection: Selection;
  /** Of the database. */
  readonly encoding: string;
  readonly arePrivilegesDropped: boolean;
  /** A role to become after connecting. */
  readonly role: string | null;
}

/**
 * Options of pg_dump that make its archive hold the definitions of what `readScope` chooses, and no others. System schemas are left out, which patterns as `*.*` would name.
 * Owners stay in an archive whatever is said (pg_dump's page says so); they are dropped when it is restored. Rows and large objects are not pg_dump's business: of an archive of definitions the section `data` is empty.
 */
export const toDumpSelection = ({ selection, encoding, arePrivilegesDropped, role }: DumpSelection): readonly string[] => {
  const { tables, excludedTables, schemas, excludedSchemas, sections } = selection;
  const patterns = [...tables, ...excludedTables, ...schemas, ...excludedSchemas];
  const isForeign = encoding !== 'UTF8' && patterns.some((pattern) => !/^\p{ASCII}*$/u.test(pattern));
  return [
    ...tables.map((pattern) => `--table=${pattern}`),
    ...excludedTables.map((pattern) => `--exclude-table=${pattern}`),
    ...schemas.map((pattern) => `--schema=${pattern}`),
    ...excludedSchemas.map((pattern) => `--exclude-schema=${pattern}`),
    ...(tables.length > 0 ? ['--exclude-table=pg_*.*', '--exclude-table=information_schema.*'] : []),
    ...(schemas.length > 0 ? ['--exclude-schema=pg_*', '--exclude-schema=information_schema'] : []),
    ...(sections.length === sectionNames.length ? [] : sections.map((section) => `--section=${section}`)),
    // Patterns are read in the client's encoding, which is the database's otherwise.
    ...(isForeign ? ['--encoding=UTF8'] : []),
    ...(arePrivilegesDropped ? ['--no-privileges'] : []),
    ...(role === null ? [] : [`--role=${role}`]),
  ];
};

const defaultLockTimeoutMs = 30_000;

/**
 * Writes the database's definitions, without rows, as an uncompressed archive in pg_dump's custom format. Resolves with pg_dump's warnings.
 * Errors: `lock_not_available`, `permission_denied`, `tool_failed`, `cancelled` and others a tool's words mean.
 */
export const dumpSchema = async (options: DumpOptions): Promise<readonly string[]> => {
  const { pgDump, connection, snapshot, outPath } = options;
  const args = [
    '--format=custom',
    '--compress=0',
    '--schema-only',
    ...(options.selectionArguments ?? []),
    `--snapshot=${snapshot}`,
    `--lock-wait-timeout=${options.lockTimeoutMs ?? defaultLockTimeoutMs}`,
    '--no-sync',
    '--no-password',
    `--file=${outPath}`,
    `--dbname=${toConnectionString(connection)}`,
  ];
  const { warnings } = await runTool({ tool: pgDump, args, connection, object: `the schema of ${connection.info.database}` }, options);
  return warnings;
};
