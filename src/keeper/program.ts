import { type ChildProcess, spawn } from 'node:child_process';
import { throwIfCancelled } from '../core/abort.js';
import { DbbackupError } from '../core/errors.js';
import { onAbort } from '../native/abort.js';
import { processHost } from '../native/host.js';
import { keeperProgramPath } from '../native/keeper-program.js';
import type { ConnectionSpec } from '../native/session.js';
import { encodeFrame, FrameDecoder, toFields } from './frames.js';
import { parseError } from './replies.js';

/** What a keeper begins with. */
export interface ProgramStart {
  readonly id: string;
  readonly databaseName: string;
  readonly socketPath: string;
  readonly ttlMs: number;
  readonly pingMs: number;
  readonly connection: ConnectionSpec;
  readonly signal: AbortSignal | undefined;
}

/** Milliseconds travel as a u32: 49 days. */
const maxMs = 0xfffffffe;
const toMs = (ms: number): number => Math.min(Math.max(0, Math.round(ms)), maxMs);

/**
 * Starts the program, in a session of its own so that neither a terminal nor the end of this process reaches it, and resolves once it has connected and listens.
 * All it is told passes through a pipe. Errors: those of connecting, `locked` when one listens there already, `addon_unavailable`, `cancelled`.
 */
export const startProgram = async (start: ProgramStart): Promise<void> => {
  throwIfCancelled(start.signal);
  // The ID is for people who look at the list of processes.
  const child = spawn(keeperProgramPath, [start.id], { detached: true, stdio: ['pipe', 'pipe', 'ignore'], env: processHost.environment });
  // Until it listens it is of no use to anybody.
  const removeListener = onAbort(start.signal, () => void child.kill('SIGKILL'));
  try {
    await awaitReady(child, start);
  } finally {
    removeListener();
    child.stdout?.destroy();
    child.unref();
  }
};

const awaitReady = (child: ChildProcess, start: ProgramStart): Promise<void> =>
  new Promise((resolve, reject) => {
    const { stdin, stdout } = child;
    if (stdin === null || stdout === null) throw new DbbackupError('internal', 'the keeper was started without pipes');
    child.once('error', (cause) => {
      const hint = 'Build it with npm ci && npm run build, or back up with --no-keeper.';
      const details = { path: keeperProgramPath, hint };
      reject(new DbbackupError('addon_unavailable', `the keeper cannot be started: ${cause.message}`, { cause, details }));
    });
    child.once('exit', (status, signal) => {
      if (start.signal?.aborted === true) reject(new DbbackupError('cancelled', 'the run was cancelled'));
      // After what it may have written before.
      else
        setImmediate(() =>
          reject(new DbbackupError('internal', `the keeper ended with ${signal ?? `status ${status}`} before it was ready`)),
        );
    });
    const decoder = new FrameDecoder();
    stdout.on('data', (bytes: Buffer) => {
      try {
        decoder.push(bytes, (frame) => {
          if (frame.type === 'R') resolve();
          else reject(parseError(frame));
        });
      } catch (error) {
        reject(error);
      }
    });
    // A keeper that has ended says why, or its status does.
    stdin.on('error', () => undefined);
    const { keywords, values } = start.connection;
    const fields = [start.id, start.databaseName, start.socketPath, toMs(start.ttlMs), Math.max(1, toMs(start.pingMs))];
    stdin.end(encodeFrame('b', [...fields, ...toFields(keywords), ...toFields(values)]));
  });
