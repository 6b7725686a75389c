import { DbbackupError } from '../core/errors.js';
import { toConnectionString } from './connection-string.js';
import { runTool, type ToolOptions } from './run-tool.js';
import type { Tool, ToolConnection } from './tool.js';

export interface DumpGlobalsOptions extends ToolOptions {
  /** pg_dumpall of the server's major version or newer. */
  readonly pgDumpAll: Tool;
  readonly connection: ToolConnection;
  /** Leave the roles' password hashes out, which only a superuser may read. Default: false. */
  readonly arePasswordsLeftOut?: boolean;
}

/**
 * Roles, memberships, their settings, and tablespaces as SQL in UTF-8, with warnings. The script holds hashes of passwords: it comes through a pipe and never stands in a
 * file. Errors: `permission_denied`, `tool_failed`, `cancelled`. Cost: some 300 bytes of memory for each role.
 */
export const dumpGlobals = async (
  options: DumpGlobalsOptions,
): Promise<{ readonly script: Buffer; readonly warnings: readonly string[] }> => {
  const { pgDumpAll, connection } = options;
  const args = [
    '--globals-only',
    '--encoding=UTF8',
    '--no-password',
    ...(options.arePasswordsLeftOut === true ? ['--no-role-passwords'] : []),
    // The name of a database within the string is passed over by pg_dumpall.
    `--database=${connection.info.database}`,
    `--dbname=${toConnectionString(connection)}`,
  ];
  try {
    const { bytes, warnings } = await runTool({ tool: pgDumpAll, args, connection, object: 'roles and tablespaces' }, options);
    return { script: bytes, warnings };
  } catch (error) {
    if (!(error instanceof DbbackupError) || error.code !== 'permission_denied' || options.arePasswordsLeftOut === true) throw error;
    throw new DbbackupError('permission_denied', error.message, {
      cause: error,
      details: { ...error.details, hint: 'Back up as a superuser, or leave the password hashes out with --no-role-passwords.' },
    });
  }
};
