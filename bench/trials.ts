import type { Measured } from './measured-child.js';

/** One way of running a tool, and what came of it; null when it was stopped because it was slower than the fastest before it. */
export interface Trial<Setting> {
  readonly setting: Setting;
  readonly measured: Measured | null;
}

export interface TrialOptions {
  readonly signal: AbortSignal;
  /** A run is stopped after this many times the fastest one's seconds: 1 saves time, 1.5 leaves room for noise. */
  readonly slack: number;
}

const listFinished = <Setting>(trials: readonly Trial<Setting>[]): readonly { readonly setting: Setting; readonly measured: Measured }[] =>
  trials
    .flatMap(({ setting, measured }) => (measured === null ? [] : [{ setting, measured }]))
    .sort((a, b) => a.measured.seconds - b.measured.seconds);

/** Runs a tool once with a setting. `before` are the trials so far; the first one is always run to its end. */
export const runTrial = async <Setting>(
  setting: Setting,
  before: readonly Trial<Setting>[],
  { signal, slack }: TrialOptions,
  run: (signal: AbortSignal) => Promise<Measured>,
): Promise<Trial<Setting>> => {
  const fastest = listFinished(before)[0]?.measured.seconds;
  const limit = fastest === undefined ? undefined : AbortSignal.timeout(Math.ceil(fastest * slack * 1000));
  try {
    return { setting, measured: await run(limit === undefined ? signal : AbortSignal.any([signal, limit])) };
  } catch (error) {
    if (limit?.aborted === true && !signal.aborted) return { setting, measured: null };
    throw error;
  }
};

/** The trial with the fewest seconds. */
export const findFastest = <Setting>(trials: readonly Trial<Setting>[]): { readonly setting: Setting; readonly measured: Measured } => {
  const [fastest] = listFinished(trials);
  if (fastest === undefined) throw new Error('no trial was run to its end');
  return fastest;
};
