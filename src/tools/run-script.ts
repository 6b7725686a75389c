import { rm, writeFile } from 'node:fs/promises';
import { DbbackupError } from '../core/errors.js';
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
  /** Absolute path for the script, which may hold password hashes: written for the owner alone, removed afterwards. */
  readonly scriptPath: string;
  /** All or nothing. */
  readonly isTransaction: boolean;
}

/** Runs a script with psql up to its first error. Resolves with warnings. Errors: `tool_failed` or what the server's words mean, `io_error`, `cancelled`. */
export const runScript = async (options: RunScriptOptions): Promise<readonly string[]> => {
  const { psql, connection, object, script, scriptPath } = options;
  try {
    await writeFile(scriptPath, script, { encoding: 'latin1', mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new DbbackupError('io_error', `${scriptPath} could not be written`, { cause: error, details: { path: scriptPath } });
  }
  try {
    const args = [
      '--no-psqlrc',
      '--quiet',
      '--set=ON_ERROR_STOP=1',
      '--no-password',
      ...(options.isTransaction ? ['--single-transaction'] : []),
      `--file=${scriptPath}`,
      `--dbname=${toConnectionString(connection)}`,
    ];
    return (await runTool({ tool: psql, args, connection, object }, options)).warnings;
  } finally {
    await rm(scriptPath, { force: true });
  }
};
