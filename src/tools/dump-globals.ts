import { DbbackupError } from '../core/errors.js';
import { toConnectionString } from './connection-string.js';
import { runTool, type ToolOptions } from './run-tool.js';
import type { Tool, ToolConnection } from './tool.js';

export interface DumpGlobalsOptions extends ToolOptions {
  /** pg_dumpall of the server's major version or newer. */
  readonly pgDumpAll: Tool;
  readonly connection: ToolConnection;
  /** Absolute path of the script, which holds password hashes: an existing file is overwritten and keeps its mode. */
  readonly outPath: string;
  /** Leave the roles' password hashes out, which only a superuser may read. Default: false. */
  readonly arePasswordsLeftOut?: boolean;
}

/** Writes roles, memberships, their settings, and tablespaces as SQL in UTF-8. Resolves with warnings. Errors: `permission_denied`, `tool_failed`, `cancelled`. */
export const dumpGlobals = async (options: DumpGlobalsOptions): Promise<readonly string[]> => {
  const { pgDumpAll, connection, outPath } = options;
  const args = [
    '--globals-only',
    '--encoding=UTF8',
    '--no-sync',
    '--no-password',
    ...(options.arePasswordsLeftOut === true ? ['--no-role-passwords'] : []),
    `--file=${outPath}`,
    // The name of a database within the string is passed over by pg_dumpall.
    `--database=${connection.info.database}`,
    `--dbname=${toConnectionString(connection)}`,
  ];
  try {
    return (await runTool({ tool: pgDumpAll, args, connection, object: 'roles and tablespaces' }, options)).warnings;
  } catch (error) {
    if (!(error instanceof DbbackupError) || error.code !== 'permission_denied' || options.arePasswordsLeftOut === true) throw error;
    throw new DbbackupError('permission_denied', error.message, {
      cause: error,
      details: { ...error.details, hint: 'Back up as a superuser, or leave the password hashes out with --no-role-passwords.' },
    });
  }
};
