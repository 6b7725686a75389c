import { setMaxListeners } from 'node:events';
import { type EndSignal, signalStatuses } from './exit-codes.js';

/** A signal was received: the reason the run's AbortSignal carries. */
export class SignalReceived extends Error {
  override readonly name = 'SignalReceived';
  readonly signal: EndSignal;

  constructor(signal: EndSignal) {
    super(`received ${signal}`);
    this.signal = signal;
  }
}

/**
 * Runs `run` so that the first SIGHUP, SIGINT or SIGTERM aborts its signal and calls `onFirst`, and the second one ends the process at once.
 * Handlers are removed afterwards.
 */
export const withSignals = async <T>(onFirst: (signal: EndSignal) => void, run: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const controller = new AbortController();
  // Every session of a run listens, and each database of a cluster has one.
  setMaxListeners(0, controller.signal);
  const receive = (signal: EndSignal): void => {
    if (controller.signal.aborted) process.exit(signalStatuses[signal]);
    controller.abort(new SignalReceived(signal));
    onFirst(signal);
  };
  const names = Object.keys(signalStatuses) as EndSignal[];
  for (const name of names) process.on(name, receive);
  try {
    return await run(controller.signal);
  } finally {
    for (const name of names) process.off(name, receive);
  }
};

/** The signal that aborted `signal`, or null. */
export const toEndSignal = (signal: AbortSignal): EndSignal | null =>
  signal.reason instanceof SignalReceived ? signal.reason.signal : null;
