import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerUser } from './server-user.js';

export type StopMode = 'smart' | 'fast' | 'immediate';

export interface Postmaster {
  readonly pid: number;
  /** Stops the server and removes its directories; a second call waits for the first. A server that has not stopped after 30 s is killed. */
  stop(mode?: StopMode): Promise<void>;
}

export interface PostmasterOptions {
  readonly binDir: string;
  readonly dataDir: string;
  readonly logPath: string;
  readonly user: ServerUser | undefined;
  /** Removed once the server has ended. */
  readonly directories: readonly string[];
}

/** The server could not be started; `log` is what it wrote. */
export class StartError extends Error {
  constructor(readonly log: string) {
    super(`the server did not start:\n${log.trimEnd().split('\n').slice(-20).join('\n')}`);
  }
}

const stopSignals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const satisfies Record<StopMode, NodeJS.Signals>;
const startLimitMs = 60_000;
const stopLimitMs = 30_000;

const running = new Map<ChildProcess, readonly string[]>();

const removeDirectories = (directories: readonly string[]): void => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
};

/** False for a zombie too: at exit nobody is left to reap it. */
export const isProcessRunning = (pid: number): boolean => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
  } catch {
    return false;
  }
};

const sleepSync = (milliseconds: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);

/** Ends all servers without the event loop: what is left to do when the process exits. */
const stopAllNow = (): void => {
  for (const child of running.keys()) child.kill('SIGQUIT');
  for (const [child, directories] of running) {
    for (let waitedMs = 0; waitedMs < 5000 && child.pid !== undefined && isProcessRunning(child.pid); waitedMs += 10) sleepSync(10);
    child.kill('SIGKILL');
    removeDirectories(directories);
  }
  running.clear();
};

let areHooksSet = false;
const setHooks = (): void => {
  if (areHooksSet) return;
  areHooksSet = true;
  process.on('exit', stopAllNow);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const onSignal = (): void => {
      // Whoever else listens decides about the end; 'exit' follows in any case.
      if (process.listenerCount(signal) > 1) return;
      stopAllNow();
      process.off(signal, onSignal);
      process.kill(process.pid, signal);
    };
    process.on(signal, onSignal);
  }
};

/** `postmaster.pid` says `ready` in its eighth line once connections are accepted. */
const isReady = async (dataDir: string): Promise<boolean> => {
  const path = join(dataDir, 'postmaster.pid');
  return existsSync(path) && (await readFile(path, 'utf8')).split('\n')[7]?.trim() === 'ready';
};

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/**
 * Starts `postgres` on a data directory and waits until it accepts connections.
 * It is a child in a session of its own, so that Ctrl-C reaches it in order, and asks the kernel to be stopped should this process be killed.
 */
export const startPostmaster = async (options: PostmasterOptions): Promise<Postmaster> => {
  setHooks();
  const { user } = options;
  const identity = user === undefined ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
  const log = openSync(options.logPath, 'a', 0o600);
  const child = spawn('setpriv', ['--pdeathsig', 'QUIT', ...identity, join(options.binDir, 'postgres'), '-D', options.dataDir], {
    cwd: options.dataDir,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  running.set(child, options.directories);
  // A test file whose tests are done must end even if nobody has stopped the server: 'exit' does.
  child.unref();
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });

  const deadline = Date.now() + startLimitMs;
  while (!(await isReady(options.dataDir))) {
    if (child.pid === undefined || hasEnded(child) || Date.now() > deadline) {
      child.kill('SIGKILL');
      running.delete(child);
      throw new StartError(await readFile(options.logPath, 'utf8'));
    }
    await sleep(20);
  }

  const stop = async (mode: StopMode): Promise<void> => {
    child.ref();
    if (!hasEnded(child)) {
      child.kill(stopSignals[mode]);
      const limit = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
      await ended;
      clearTimeout(limit);
    }
    running.delete(child);
    removeDirectories(options.directories);
  };
  let stopping: Promise<void> | undefined;
  return { pid: child.pid ?? 0, stop: (mode = 'fast') => (stopping ??= stop(mode)) };
};
