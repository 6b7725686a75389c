import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../test/support/cluster.js';
import { readOwnCpuSeconds, readServerCpuSeconds } from './cpu-time.js';
import { flushEverything } from './fill.js';
import { formatMegabytes, formatSeconds } from './format.js';
import { measureIdleLoad, readMachineCpu } from './machine.js';
import type { Measured } from './measured-child.js';
import type { Steps } from './steps.js';
import { findFastest, runTrial, type Trial } from './trials.js';

/** One measured run of one tool. */
export interface Sample {
  readonly seconds: number;
  /** Core seconds of the tool, and of the server. */
  readonly toolCpuSeconds: number;
  readonly serverCpuSeconds: number;
  readonly storedBytes: number | null;
  /** Of the largest process, and of all processes at one moment. */
  readonly peakProcessBytes: number;
  readonly peakTreeBytes: number;
  /** Shares of all cores' time during the run, 0 to 1: what other processes used, what the hypervisor took. */
  readonly foreignLoad: number;
  readonly steal: number;
}

export interface TrialSummary {
  readonly name: string;
  /** Null when it was stopped, since it was slower than 1.5 times the fastest. */
  readonly seconds: number | null;
}

export interface SamplingContext {
  readonly cluster: Cluster;
  readonly steps: Steps;
  readonly signal: AbortSignal;
  /** For how long a run waits for a quiet machine, and is taken again when it was disturbed. */
  readonly patienceSeconds: number;
}

export interface Outcome {
  readonly measured: Measured;
  readonly storedBytes: number | null;
}

/** What is measured; `prepare` undoes an earlier run. */
export interface Job {
  readonly title: string;
  readonly prepare?: () => Promise<void>;
  readonly run: () => Promise<Outcome>;
}

const trialSlack = 1.5;

/** Above this share of the cores, other processes disturb a run. */
export const noisyLoad = 0.1;

const waitForQuiet = async ({ signal }: SamplingContext, deadline: number): Promise<void> => {
  while (performance.now() < deadline && (await measureIdleLoad()) > noisyLoad) {
    signal.throwIfAborted();
    await sleep(500);
  }
};

const takeOnce = async ({ cluster, steps }: SamplingContext, { title, run }: Job): Promise<Sample> => {
  const machineBefore = readMachineCpu();
  const serverBefore = readServerCpuSeconds(cluster.pid);
  const ownBefore = readOwnCpuSeconds();
  const toSample = ({ measured, storedBytes }: Outcome): Sample => {
    const machine = readMachineCpu();
    const serverCpuSeconds = readServerCpuSeconds(cluster.pid) - serverBefore;
    const total = machine.totalSeconds - machineBefore.totalSeconds;
    const accounted = measured.cpuSeconds + serverCpuSeconds + readOwnCpuSeconds() - ownBefore;
    const steal = (machine.stolenSeconds - machineBefore.stolenSeconds) / total;
    return {
      seconds: measured.seconds,
      toolCpuSeconds: measured.cpuSeconds,
      serverCpuSeconds,
      storedBytes,
      peakProcessBytes: measured.peakMemory.processBytes,
      peakTreeBytes: measured.peakMemory.treeBytes,
      foreignLoad: Math.max(0, (machine.busySeconds - machineBefore.busySeconds - accounted) / total - steal),
      steal,
    };
  };
  return await steps.run(
    title,
    async () => toSample(await run()),
    ({ seconds, storedBytes, foreignLoad, steal }) =>
      [
        `${formatSeconds(seconds)} measured`,
        ...(storedBytes === null ? [] : [`${formatMegabytes(storedBytes)} stored`]),
        ...(foreignLoad > noisyLoad ? [`others used ${(foreignLoad * 100).toFixed(0)} % of the cores`] : []),
        ...(steal > noisyLoad ? [`the hypervisor took ${(steal * 100).toFixed(0)} %`] : []),
      ].join(', '),
  );
};

/** Runs one tool from a flushed, idle server and prints its line. With patience, a disturbed run is taken again; the least disturbed one counts. */
export const takeSample = async (context: SamplingContext, job: Job): Promise<Sample> => {
  const deadline = performance.now() + context.patienceSeconds * 1000;
  let best: Sample | undefined;
  do {
    await job.prepare?.();
    await flushEverything(context.cluster);
    await waitForQuiet(context, deadline);
    const sample = await takeOnce(context, job);
    if (best === undefined || sample.foreignLoad < best.foreignLoad) best = sample;
  } while (best.foreignLoad > noisyLoad && performance.now() < deadline);
  return best;
};

const summarize = <Setting>(trials: readonly Trial<Setting>[], toName: (setting: Setting) => string): readonly TrialSummary[] =>
  trials.map(({ setting, measured }) => ({ name: toName(setting), seconds: measured?.seconds ?? null }));

/** Finds the fastest of several settings, each run once. */
export const tryAll = async <Setting>(
  context: SamplingContext,
  settings: readonly Setting[],
  toName: (setting: Setting) => string,
  run: (setting: Setting, signal: AbortSignal) => Promise<Measured>,
): Promise<{ readonly best: Setting; readonly trials: readonly TrialSummary[] }> => {
  const { cluster, steps, signal, patienceSeconds } = context;
  const trials: Trial<Setting>[] = [];
  for (const setting of settings) {
    await flushEverything(cluster);
    await waitForQuiet(context, performance.now() + patienceSeconds * 1000);
    const trial = await steps.run(
      `try ${toName(setting)}`,
      () => runTrial(setting, trials, { signal, slack: trialSlack }, (limited) => run(setting, limited)),
      ({ measured }) => (measured === null ? 'stopped, since it is slower' : `${formatSeconds(measured.seconds)} measured`),
    );
    trials.push(trial);
  }
  return { best: findFastest(trials).setting, trials: summarize(trials, toName) };
};
