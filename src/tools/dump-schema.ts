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
}

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
