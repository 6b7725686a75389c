import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { withoutConnectionEnv } from '../test/support/login.js';
import { readChildrenCpuSeconds } from './cpu-time.js';
import { type PeakMemory, startMemorySampler } from './memory-sampler.js';

export interface MeasuredOptions {
  /** Added to this process's environment, from which libpq's variables are removed. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the child reads from its standard input; nothing by default. */
  readonly input?: Iterable<Buffer>;
  /** Ends the child's whole process group: SIGTERM, after ten seconds SIGKILL. */
  readonly signal?: AbortSignal | undefined;
  readonly cwd?: string;
}

export interface Measured {
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
  /** Of the child and its descendants, as long as no other child of this process ends meanwhile. */
  readonly cpuSeconds: number;
  readonly peakMemory: PeakMemory;
}

/** The child could not be started, failed, or was ended by a signal. */
export class ChildError extends Error {
  override readonly name = 'ChildError';
}

const killDelayMs = 10_000;

/** Signals a process group; false when it has ended. */
const signalGroup = (pid: number, signal: NodeJS.Signals): boolean => {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
};

/**
 * Runs a program to its end and measures time and memory. It gets a process group of its own: a Ctrl-C on the terminal reaches it through `signal` alone.
 * Rejects with ChildError when it ends with anything but 0, and with the reason of `signal` when that was aborted.
 */
export const runMeasured = async (command: string, args: readonly string[], options: MeasuredOptions = {}): Promise<Measured> => {
  options.signal?.throwIfAborted();
  const cpuBefore = readChildrenCpuSeconds();
  const startedAt = performance.now();
  const child = spawn(command, args, {
    env: { ...withoutConnectionEnv(process.env), ...options.env },
    cwd: options.cwd,
    detached: true,
    stdio: 'pipe',
  });
  const ended = new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(`cannot be run: ${error.message}`));
    child.once('close', (status, signalName) => resolve(status === 0 ? null : `ended with ${signalName ?? `status ${status}`}`));
  });
  const { pid } = child;
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
  child.stderr.on('data', (piece: Buffer) => stderr.push(piece));

  let killTimer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    if (pid === undefined) return;
    signalGroup(pid, 'SIGTERM');
    killTimer = setTimeout(() => signalGroup(pid, 'SIGKILL'), killDelayMs);
  };
  options.signal?.addEventListener('abort', stop, { once: true });
  const sampler = pid === undefined ? undefined : startMemorySampler(pid);

  // A child that ends before it has read everything breaks the pipe: its status and messages say why.
  const fed = pipeline(Readable.from(options.input ?? [], { highWaterMark: 4 }), child.stdin).catch(() => undefined);
  const failure = await ended;
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = readChildrenCpuSeconds() - cpuBefore;
  const peakMemory = sampler?.stop() ?? { processBytes: 0, treeBytes: 0 };
  options.signal?.removeEventListener('abort', stop);
  clearTimeout(killTimer);
  await fed;

  options.signal?.throwIfAborted();
  const result = { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString(), seconds, cpuSeconds, peakMemory };
  if (failure !== null)
    throw new ChildError(`${command} ${failure}\n${(result.stderr.trim() || result.stdout.trim()).split('\n').slice(-20).join('\n')}`);
  return result;
};
