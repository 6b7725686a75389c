import { type ChildProcessWithoutNullStreams, type SpawnOptionsWithoutStdio, spawn } from 'node:child_process';

export interface ChildOptions {
  /** The whole environment; default this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Written to standard input, which is then closed. */
  readonly input?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** Aborting sends SIGTERM; the outcome tells how the program ended. */
  readonly signal?: AbortSignal;
  /** Called with the running child, for example to send it another signal or to read its memory. */
  readonly onSpawn?: (child: ChildProcessWithoutNullStreams) => void;
}

export interface ChildOutcome {
  /** Exit status, or 128 + the signal's number as a shell reports it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

/** Runs a program to its end and collects what it printed. Rejects only when it cannot be started. */
export const runChild = (command: string, args: readonly string[], options: ChildOptions = {}): Promise<ChildOutcome> =>
  new Promise((resolve, reject) => {
    const spawnOptions: SpawnOptionsWithoutStdio = {
      env: options.env ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    };
    const child = spawn(command, args, spawnOptions);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
    // A program may end without having read its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    const stop = (): void => void child.kill('SIGTERM');
    if (options.signal?.aborted === true) stop();
    options.signal?.addEventListener('abort', stop);
    child.on('error', reject);
    child.on('close', (status, signal) => {
      options.signal?.removeEventListener('abort', stop);
      resolve({
        status: status ?? 128 + (signalNumbers[signal ?? ''] ?? 0),
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
      });
    });
    options.onSpawn?.(child);
  });

/** `runChild` that rejects, with what the program said on standard error, unless it ends with status 0; gives its standard output. */
export const runChildOrThrow = async (command: string, args: readonly string[], options: ChildOptions = {}): Promise<string> => {
  const { status, stdout, stderr } = await runChild(command, args, options);
  if (status !== 0) throw new Error(`${command} ended with status ${status}: ${stderr.trim()}`);
  return stdout;
};
