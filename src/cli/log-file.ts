import { DbbackupError } from '../core/errors.js';
import type { Event } from '../core/events.js';
import { describeEvent } from './describe.js';
import { causesOf } from './render-error.js';

/** A run's log: JSON lines, appended to a file that only its owner can read. */
export interface Log {
  /** What runs: the program's version, process and arguments. */
  start(facts: Readonly<Record<string, unknown>>): void;
  event(event: Event): void;
  error(error: DbbackupError, redact: (text: string) => string): void;
  finish(exitStatus: number): void;
}

/**
 * Opens the log. Written synchronously: few lines a second, and the last one before a crash is the one that matters. pino is loaded only here.
 * `onWriteError` is called once when a line cannot be written: a full log disk must not end a backup.
 * Errors: `not_writable`, `io_error`.
 */
export const openLog = async (path: string, isVerbose: boolean, onWriteError: (error: Error) => void): Promise<Log> => {
  const { pino } = await import('pino');
  const destination = openDestination(() => pino.destination({ dest: path, append: true, sync: true, mode: 0o600 }), path);
  let hasFailed = false;
  destination.on('error', (error: Error) => {
    if (!hasFailed) onWriteError(error);
    hasFailed = true;
  });
  const logger = pino({ level: isVerbose ? 'debug' : 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return {
    start: (facts) => logger.info(facts, 'started'),
    event: (event) => logger[toLevel(event)]({ event }, describeEvent(event)?.text ?? event.type),
    error: (error, redact) =>
      logger.error(
        {
          code: error.code,
          details: redactDetails(error, redact),
          causes: causesOf(error).map(redact),
          later: error.details.later?.map((later) => redact(later.message)),
          stack: error.stack === undefined ? undefined : redact(error.stack),
        },
        redact(error.message),
      ),
    finish: (exitStatus) => logger.info({ exitStatus }, 'finished'),
  };
};

const openDestination = <T>(open: () => T, path: string): T => {
  try {
    return open();
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    const isForbidden = code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT' || code === 'EISDIR';
    throw new DbbackupError(
      isForbidden ? 'not_writable' : 'io_error',
      `the log file ${path} cannot be written: ${code ?? 'unknown reason'}`,
      {
        cause: error,
        details: {
          path,
          hint: 'Check that the directory of --log-file exists and that you may write there.',
          ...(errno !== undefined && { errno }),
        },
      },
    );
  }
};

const toLevel = (event: Event): 'error' | 'warn' | 'info' | 'debug' => {
  switch (event.type) {
    case 'run.failed':
      return 'error';
    case 'warning':
    case 'chunk.failed':
    case 'chunk.retried':
    case 'damage.found':
      return 'warn';
    case 'progress':
    case 'chunk.started':
      return 'debug';
    default:
      return 'info';
  }
};

const redactDetails = (error: DbbackupError, redact: (text: string) => string): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries({ ...error.details, hint: error.hint })
      .filter(([name, value]) => name !== 'later' && value !== undefined)
      .map(([name, value]) => [name, typeof value === 'string' ? redact(value) : value]),
  );
