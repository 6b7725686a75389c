import { toConnectionString } from './connection-string.js';
import { runTool, type ToolOptions } from './run-tool.js';
import type { Tool, ToolConnection } from './tool.js';

export interface RunScriptOptions extends ToolOptions {
  readonly psql: Tool;
  readonly connection: ToolConnection;
  /** What the script is about, for errors. */
  readonly object: string;
  /** A character for each byte (`latin1`). */
  readonly script: string;
  /** All or nothing. */
  readonly isTransaction: boolean;
}

/**
 * Runs a script with psql up to its first error. It may hold hashes of passwords, so it goes through a pipe and never into a file. Resolves with warnings.
 * Errors: `tool_failed` or what the server's words mean, `cancelled`.
 */
export const runScript = async (options: RunScriptOptions): Promise<readonly string[]> => {
  const { psql, connection, object, script } = options;
  const args = [
    '--no-psqlrc',
    '--quiet',
    '--set=ON_ERROR_STOP=1',
    '--no-password',
    ...(options.isTransaction ? ['--single-transaction'] : []),
    '--file=-',
    `--dbname=${toConnectionString(connection)}`,
  ];
  return (await runTool({ tool: psql, args, connection, object }, options, Buffer.from(script, 'latin1'))).warnings;
};
