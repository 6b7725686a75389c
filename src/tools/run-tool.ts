import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { toCancelled } from '../core/abort.js';
import { DbbackupError } from '../core/errors.js';
import type { ToolConnection, ToolExit, ToolHost, ToolRun } from './tool.js';
import { describeSpawnFailure, describeToolFailure } from './tool-failure.js';
import { findWarnings } from './tool-warnings.js';

export interface ToolOptions {
  readonly host: ToolHost;
  /** Ends the tool and its children: SIGTERM, on which it cancels its queries, then SIGKILL. */
  readonly signal?: AbortSignal | undefined;
}

export interface ToolOutput {
  readonly stdout: string;
  /** The same before it was taken for UTF-8. */
  readonly bytes: Buffer;
  /** The tool's own warnings and the server's, one an entry. */
  readonly warnings: readonly string[];
}

/** Turns the bytes of one tool into those the next one reads. */
export type ToolFilter = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/** A tool's last words say why it failed; a chatty one must not fill the memory. */
const maxStderrBytes = 64 * 1024;
/** A run ends within two seconds of its abort; a cancel request takes a round trip. */
const killAfterMs = 1000;

/** Runs a tool to its end, with `input` as its standard input. Errors: `tool_failed` or what its last words mean, `tools_missing`, `cancelled`. */
export const runTool = async (run: ToolRun, options: ToolOptions, input?: Buffer): Promise<ToolOutput> => {
  const child = start(run, options, input === undefined ? 'ignore' : 'pipe');
  const stdout = keepTail(child.stdout, Number.POSITIVE_INFINITY);
  const feeding = feed(child, input);
  const warnings = await finish(child, run, options);
  const unread = await feeding;
  if (unread !== null) throw new DbbackupError('tool_failed', `${run.tool.name} did not read its input (${run.object})`, { cause: unread });
  const bytes = stdout();
  return { bytes, stdout: bytes.toString('utf8'), warnings };
};

/** Resolves with the error of a tool that did not read all of it: its exit status says why, if it ended in failure. */
const feed = ({ stdin }: ToolProcess, input: Buffer | undefined): Promise<Error | null> =>
  stdin === null || input === undefined
    ? Promise.resolve(null)
    : new Promise((resolve) => {
        stdin.once('error', resolve);
        stdin.end(input, (error?: Error | null) => resolve(error ?? null));
      });

/**
 * Runs `from` and `to` side by side, the first one's standard output through `filter` into the second one's standard input. Resolves with the warnings of both once
 * both have ended well. Errors: as `runTool`; when both fail, that of `to`, since a reader that ends makes its writer fail.
 */
export const runToolPipe = async (from: ToolRun, filter: ToolFilter, to: ToolRun, options: ToolOptions): Promise<readonly string[]> => {
  const reader = start(to, options, 'pipe');
  const writer = start(from, options, 'ignore');
  if (reader.stdin === null) throw new DbbackupError('internal', `${to.tool.name} was started without standard input`);
  reader.stdout.resume();
  const outcomes = await Promise.allSettled([
    finish(reader, to, options),
    finish(writer, from, options),
    pipeline(writer.stdout, filter, reader.stdin),
  ]);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? (outcome.value ?? []) : []));
};

type ToolProcess = ChildProcess & { readonly stdout: Readable; readonly stderr: Readable };

const start = ({ tool, args, connection }: ToolRun, { host, signal }: ToolOptions, stdin: 'ignore' | 'pipe'): ToolProcess => {
  if (signal?.aborted === true) throw toCancelled(signal);
  // A process group of its own: the terminal's Ctrl-C goes to dbbackup alone, and ending the group ends pg_restore's workers, too.
  return spawn(tool.path, args, { env: toEnvironment(host, connection), stdio: [stdin, 'pipe', 'pipe'], detached: true }) as ToolProcess;
};

/** Variables that would lead a tool elsewhere than its connection string, or change what it writes. */
const droppedVariables: readonly string[] = [
  'PGHOST',
  'PGHOSTADDR',
  'PGPORT',
  'PGUSER',
  'PGDATABASE',
  'PGSERVICE',
  'PGTARGETSESSIONATTRS',
  'PGLOADBALANCEHOSTS',
  'PGCLIENTENCODING',
];

const toEnvironment = (host: ToolHost, connection: ToolConnection | null): NodeJS.ProcessEnv => {
  const environment: NodeJS.ProcessEnv = { ...host.environment };
  for (const name of droppedVariables) delete environment[name];
  // Messages are searched for words, in English.
  environment['LC_ALL'] = 'C';
  if (connection !== null && connection.password !== null) environment['PGPASSWORD'] = connection.password;
  return environment;
};

/** Waits for the tool's end, and makes it end when the signal is aborted. Resolves with its warnings. */
const finish = async (child: ToolProcess, run: ToolRun, { host, signal }: ToolOptions): Promise<readonly string[]> => {
  const stderr = keepTail(child.stderr, maxStderrBytes);
  let killTimer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    const { pid } = child;
    if (pid === undefined) return;
    host.signalGroup(pid, 'SIGTERM');
    killTimer = setTimeout(() => host.signalGroup(pid, 'SIGKILL'), killAfterMs);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  const removeExitListener = host.onExit?.(() => {
    if (child.pid !== undefined) host.signalGroup(child.pid, 'SIGTERM');
  });
  try {
    const exit = await waitForExit(child, run);
    if (signal?.aborted === true) throw toCancelled(signal);
    if (exit.status !== 0) throw describeToolFailure(run, exit, stderr().toString('utf8'));
    return findWarnings(run.tool.name, stderr().toString('utf8'));
  } finally {
    signal?.removeEventListener('abort', onAbort);
    removeExitListener?.();
    clearTimeout(killTimer);
  }
};

const waitForExit = (child: ToolProcess, run: ToolRun): Promise<ToolExit> =>
  new Promise((resolve, reject) => {
    child.once('error', (error) => reject(describeSpawnFailure(run.tool, error)));
    // Not `exit`: what the tool said last may still be in the pipe.
    child.once('close', (status, signal) => resolve({ status, signal }));
  });

/** Reads a stream to its end and keeps its last bytes. The result is called when the stream has ended. */
const keepTail = (stream: Readable, maxBytes: number): (() => Buffer) => {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    for (let first = chunks[0]; first !== undefined && sizeBytes - first.length >= maxBytes; first = chunks[0]) {
      sizeBytes -= first.length;
      chunks.shift();
    }
  });
  return () => {
    const all = Buffer.concat(chunks);
    return all.subarray(Math.max(0, all.length - maxBytes));
  };
};
