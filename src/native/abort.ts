/** Calls `stop` when `signal` is aborted. Returns what removes the listener again, so that a long-lived signal gathers none. */
export const onAbort = (signal: AbortSignal | undefined, stop: () => void): (() => void) => {
  signal?.addEventListener('abort', stop, { once: true });
  return () => signal?.removeEventListener('abort', stop);
};
