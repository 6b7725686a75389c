/** Thrown, as the reason of an aborted AbortSignal, after a first SIGINT, SIGTERM or SIGHUP. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
  readonly exitStatus: number;

  constructor(signalName: string, signalNumber: number) {
    super(`stopped by ${signalName}`);
    this.exitStatus = 128 + signalNumber;
  }
}

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs `run` with an AbortSignal that the usual signals abort. Further signals are ignored, so that `run` can clean up.
 * Returns the exit status: what `run` returned, 1 after an error, 128 + n after signal n. Errors are printed to stderr.
 */
export const withStopSignals = async (run: (signal: AbortSignal) => Promise<number>): Promise<number> => {
  const controller = new AbortController();
  const handlers = Object.entries(signals).map(([name, number]) => {
    const handler = (): void => {
      if (!controller.signal.aborted) process.stderr.write(`\n${name}: stopping and removing what was started …\n`);
      controller.abort(new StoppedError(name, number));
    };
    process.on(name, handler);
    return [name, handler] as const;
  });
  try {
    return await run(controller.signal);
  } catch (error) {
    if (controller.signal.reason instanceof StoppedError) return controller.signal.reason.exitStatus;
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    for (const [name, handler] of handlers) process.off(name, handler);
  }
};
