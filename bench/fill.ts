import { join } from 'node:path';
import type { Cluster } from '../test/support/cluster.js';
import type { Dataset, FillStep } from './datasets/dataset.js';
import { runMeasured } from './measured-child.js';

export interface FillOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: (name: string, seconds: number) => void;
}

/**
 * Runs `run` while the cluster does without fsync: a sample that is lost in a crash is made again. What was written meanwhile is flushed at the end,
 * so that what follows is measured on a server that is as durable, and a disk that is as idle, as without this.
 */
const withoutFsync = async (cluster: Cluster, run: () => Promise<void>): Promise<void> => {
  if ((await cluster.psql('postgres', 'SHOW fsync')) === 'off') return run();
  await cluster.psql('postgres', 'ALTER SYSTEM SET fsync = off;\nSELECT pg_reload_conf()');
  try {
    await run();
  } finally {
    await cluster.psql('postgres', 'ALTER SYSTEM RESET fsync;\nSELECT pg_reload_conf()');
  }
  await flushEverything(cluster);
};

/** Leaves nothing to be written: a checkpoint, then the system's `sync`. */
export const flushEverything = async (cluster: Cluster): Promise<void> => {
  await cluster.psql('postgres', 'CHECKPOINT');
  await runMeasured('sync', []);
};

const psqlArgs = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null'];

const runStep = async (cluster: Cluster, database: string, step: FillStep, { signal, onStep }: FillOptions): Promise<void> => {
  const [args, input] = step.kind === 'sql' ? [['-f', '-'], [Buffer.from(step.sql)]] : [['-c', step.statement], step.rows()];
  const env = { ...cluster.env(database), PGOPTIONS: '-c client_min_messages=warning' };
  const { seconds } = await runMeasured(join(cluster.binDir, 'psql'), [...psqlArgs, ...args], { env, input, signal });
  onStep?.(step.name, seconds);
};

const runStages = async (cluster: Cluster, database: string, dataset: Dataset, sizeGb: number, options: FillOptions): Promise<void> => {
  const failed = new AbortController();
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  const runLane = async (lane: readonly FillStep[]): Promise<void> => {
    try {
      for (const step of lane) await runStep(cluster, database, step, { ...options, signal });
    } catch (error) {
      failed.abort(error);
    }
  };
  for (const stage of dataset.stages(sizeGb)) {
    await Promise.all(stage.map(runLane));
    signal.throwIfAborted();
  }
};

/**
 * Fills an empty database with a data set, then vacuums and analyses it: whoever reads it first must not pay for hint bits.
 * The first failing step ends the others.
 */
export const fillDatabase = (
  cluster: Cluster,
  database: string,
  dataset: Dataset,
  sizeGb: number,
  options: FillOptions = {},
): Promise<void> =>
  withoutFsync(cluster, async () => {
    await runStages(cluster, database, dataset, sizeGb, options);
    const args = ['--freeze', '--analyze', '--jobs', '2', '--quiet', database];
    await runMeasured(join(cluster.binDir, 'vacuumdb'), args, { env: cluster.env(database), signal: options.signal });
  });
