import { spawnSync } from 'node:child_process';

/** Runs a program to its end and gives its standard output; throws with the end of what it said when it fails. */
export const run = (
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): string => {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, stdio: ['ignore', 'pipe', 'pipe'], ...options });
  if (result.status === 0) return result.stdout;
  const said = `${result.stdout ?? ''}${result.stderr ?? ''}`.trimEnd().split('\n').slice(-10).join('\n');
  throw new Error(
    `${command} ${args.slice(0, 2).join(' ')}: ${result.error?.message ?? `status ${result.status ?? result.signal}`}\n${said}`,
  );
};
