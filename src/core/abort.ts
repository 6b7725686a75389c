import { DbbackupError } from './errors.js';

/** The error a cancelled run ends with. The signal's reason is kept as its cause. */
export const toCancelled = (signal: AbortSignal): DbbackupError => new DbbackupError('cancelled', 'the run was cancelled', { cause: signal.reason });

/** Throws `cancelled` when the signal is aborted. For use before each step that must not begin after an abort. */
export const throwIfCancelled = (signal: AbortSignal | undefined): void => {
  if (signal?.aborted === true) throw toCancelled(signal);
};

/**
 * Runs `run` and calls `stop` once if the signal is aborted meanwhile; `run` is not started when it is aborted already.
 * `stop` must make `run` settle. The listener is removed afterwards, so that a long-lived signal gathers none.
 * Errors: `cancelled`, or what `run` throws.
 */
export const withStop = async <T>(signal: AbortSignal | undefined, stop: () => void, run: () => Promise<T>): Promise<T> => {
  throwIfCancelled(signal);
  const onAbort = (): void => stop();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await run();
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
};
