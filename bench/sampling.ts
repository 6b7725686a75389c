import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../test/support/cluster.js';
import { readServerCpuSeconds } from './cpu-time.js';
import { flushEverything } from './fill.js';
import { formatMegabytes, formatSeconds } from './format.js';
import { measureForeignLoad, startStealMeter } from './machine.js';
import type { Measured } from './measured-child.js';
import type { Steps } from './steps.js';
import { findFastest, runTrial, type Trial } from './trials.js';

/** One measured run of one tool. */
export interface Sample {
  readonly seconds: number;
  /** Core seconds of the tool, and of the server's backends. */
  readonly toolCpuSeconds: number;
  readonly serverCpuSeconds: number;
  readonly storedBytes: number | null;
  /** Of the largest process, and of all processes at one moment. */
  readonly peakProcessBytes: number;
  readonly peakTreeBytes: number;
  /** Shares of the machine, 0 to 1: what others used just before, what the hypervisor took meanwhile. */
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
}

export interface Outcome {
  readonly measured: Measured;
  readonly storedBytes: number | null;
}

const trialSlack = 1.5;

/** Runs one tool from a flushed, idle server, and prints its line. */
export const takeSample = async ({ cluster, steps }: SamplingContext, title: string, run: () => Promise<Outcome>): Promise<Sample> => {
  await flushEverything(cluster);
  const foreignLoad = await measureForeignLoad();
  const readSteal = startStealMeter();
  const serverCpuBefore = readServerCpuSeconds(cluster.pid);
  const { measured, storedBytes } = await steps.run(
    title,
    run,
    (outcome) =>
      `${formatSeconds(outcome.measured.seconds)} measured${outcome.storedBytes === null ? '' : `, ${formatMegabytes(outcome.storedBytes)} stored`}` +
      (foreignLoad > 0.1 ? `, others used ${(foreignLoad * 100).toFixed(0)} % of the cores just before` : ''),
  );
  const steal = readSteal();
  // Backends end a moment after their client.
  await sleep(200);
  return {
    seconds: measured.seconds,
    toolCpuSeconds: measured.cpuSeconds,
    serverCpuSeconds: readServerCpuSeconds(cluster.pid) - serverCpuBefore,
    storedBytes,
    peakProcessBytes: measured.peakMemory.processBytes,
    peakTreeBytes: measured.peakMemory.treeBytes,
    foreignLoad,
    steal,
  };
};

const summarize = <Setting>(trials: readonly Trial<Setting>[], toName: (setting: Setting) => string): readonly TrialSummary[] =>
  trials.map(({ setting, measured }) => ({ name: toName(setting), seconds: measured?.seconds ?? null }));

/** Finds the fastest of several settings, each run once. */
export const tryAll = async <Setting>(
  { cluster, steps, signal }: SamplingContext,
  settings: readonly Setting[],
  toName: (setting: Setting) => string,
  run: (setting: Setting, signal: AbortSignal) => Promise<Measured>,
): Promise<{ readonly best: Setting; readonly trials: readonly TrialSummary[] }> => {
  const trials: Trial<Setting>[] = [];
  for (const setting of settings) {
    await flushEverything(cluster);
    const trial = await steps.run(
      `try ${toName(setting)}`,
      () => runTrial(setting, trials, { signal, slack: trialSlack }, (limited) => run(setting, limited)),
      ({ measured }) => (measured === null ? 'stopped, since it is slower' : `${formatSeconds(measured.seconds)} measured`),
    );
    trials.push(trial);
  }
  return { best: findFastest(trials).setting, trials: summarize(trials, toName) };
};
