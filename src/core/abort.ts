import { DbbackupError } from './errors.js';

/** The error a cancelled run ends with. The signal's reason is kept as its cause. */
export const toCancelled = (signal: AbortSignal): DbbackupError =>
  new DbbackupError('cancelled', 'the run was cancelled', { cause: signal.reason });

/** Throws `cancelled` when the signal is aborted. For use before each step that must not begin after an abort. */
export const throwIfCancelled = (signal: AbortSignal | undefined): void => {
  if (signal?.aborted === true) throw toCancelled(signal);
};
