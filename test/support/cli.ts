import { fileURLToPath } from 'node:url';
import { type ChildOptions, type ChildOutcome, runChild } from './child.js';
import { withoutConnectionEnv } from './login.js';

/** Root of the checkout. */
export const rootDir = fileURLToPath(new URL('../../../', import.meta.url));
export const cliPath = `${rootDir}bin/dbbackup.js`;

/** Runs `dbbackup` as a user does. `env` is added to this process’s environment, from which libpq’s variables are removed; `undefined` removes one. */
export const runCli = (args: readonly string[], options: ChildOptions = {}): Promise<ChildOutcome> =>
  runChild(process.execPath, [cliPath, ...args], {
    ...options,
    env: { ...withoutConnectionEnv(process.env), NO_COLOR: '1', ...options.env },
  });
