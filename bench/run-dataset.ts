import type { Dataset } from './datasets/dataset.js';
import { compareDatabases, formatDifference } from './equality.js';
import { fillDatabase } from './fill.js';
import { formatMegabytes } from './format.js';
import { type DumpSetting, listDumpSettings } from './peers.js';
import type { RunOptions } from './run-options.js';
import { openTools, ourCopy, source, type Tools } from './run-tools.js';
import { type Sample, type SamplingContext, type TrialSummary, takeSample, tryAll } from './sampling.js';

/** Samples of both tools for one phase, in the order in which they were taken: A B A B. */
export interface PhaseResult {
  readonly ours: readonly Sample[];
  /** Empty for verify, which the peers do not have. */
  readonly theirs: readonly Sample[];
  readonly peerName: string;
  readonly trials: readonly TrialSummary[];
}

export type PhaseName = 'backup' | 'verify' | 'restore';

export interface DatasetResult {
  readonly dataset: string;
  readonly sizeGb: number;
  readonly databaseBytes: number;
  /** COPY bytes of all rows, as dbbackup's report has them. */
  readonly rawBytes: number;
  readonly phases: Readonly<Partial<Record<PhaseName, PhaseResult>>>;
}

export interface DatasetContext extends SamplingContext {
  /** For the repository and pg_dump's output: on the disk of the cluster. */
  readonly directory: string;
  readonly options: RunOptions;
}

const listRounds = ({ runCount }: RunOptions): readonly string[] =>
  Array.from({ length: runCount }, (_, round) => `run ${round + 1}/${runCount}`);

const measureBackup = async (
  context: DatasetContext,
  tools: Tools,
  best: DumpSetting,
  trials: readonly TrialSummary[],
): Promise<PhaseResult> => {
  const peerName = `pg_dump -Fd ${best.name}`;
  const ours: Sample[] = [];
  const theirs: Sample[] = [];
  for (const round of listRounds(context.options)) {
    ours.push(await takeSample(context, { title: `dbbackup backup, ${round}`, run: tools.backUp }));
    theirs.push(await takeSample(context, { title: `${peerName}, ${round}`, run: () => tools.pgDump(best) }));
  }
  return { ours, theirs, peerName, trials };
};

const measureVerify = async (context: DatasetContext, tools: Tools): Promise<PhaseResult> => {
  const ours: Sample[] = [];
  for (const round of listRounds(context.options))
    ours.push(await takeSample(context, { title: `dbbackup verify, ${round}`, run: tools.verify }));
  return { ours, theirs: [], peerName: '', trials: [] };
};

/** A figure for rows that are not the source's would be worth nothing. */
const proveRestored = ({ cluster, steps }: DatasetContext): Promise<void> =>
  steps.run('compare the restored database with its source on the server', async () => {
    const differences = await compareDatabases(cluster, source, ourCopy);
    if (differences.length > 0) throw new Error(`they differ:\n${differences.slice(0, 10).map(formatDifference).join('\n')}`);
  });

const measureRestore = async (context: DatasetContext, tools: Tools): Promise<PhaseResult> => {
  const toName = (jobs: number): string => `pg_restore -j${jobs}`;
  const { best, trials } = await tryAll(context, context.options.peerJobs, toName, async (jobs, limited) => {
    await tools.dropCopies();
    return (await tools.pgRestore(jobs, limited)).measured;
  });
  const ours: Sample[] = [];
  const theirs: Sample[] = [];
  for (const [index, round] of listRounds(context.options).entries()) {
    ours.push(await takeSample(context, { title: `dbbackup restore, ${round}`, prepare: tools.dropCopies, run: tools.restore }));
    if (index === 0) await proveRestored(context);
    theirs.push(
      await takeSample(context, { title: `${toName(best)}, ${round}`, prepare: tools.dropCopies, run: () => tools.pgRestore(best) }),
    );
  }
  return { ours, theirs, peerName: toName(best), trials };
};

const measurePhases = async (context: DatasetContext, tools: Tools): Promise<DatasetResult['phases']> => {
  const { cluster, options } = context;
  const isWanted = (phase: PhaseName): boolean => options.phases.includes(phase);
  // The trials read the whole database: caches are warm from here on.
  const toName = ({ name }: DumpSetting): string => `pg_dump -Fd ${name}`;
  const settings = listDumpSettings(cluster.version, options.peerJobs);
  const { best, trials } = await tryAll(
    context,
    settings,
    toName,
    async (setting, limited) => (await tools.pgDump(setting, limited)).measured,
  );

  const backup = isWanted('backup') ? { backup: await measureBackup(context, tools, best, trials) } : {};
  if (!isWanted('backup')) {
    await tools.backUp();
    await tools.pgDump(best);
  }
  const verify = isWanted('verify') ? { verify: await measureVerify(context, tools) } : {};
  const restore = isWanted('restore') ? { restore: await measureRestore(context, tools) } : {};
  return { ...backup, ...verify, ...restore };
};

/** Fills a data set and measures every phase asked for; drops everything again. */
export const measureDataset = async (context: DatasetContext, dataset: Dataset): Promise<DatasetResult> => {
  const { cluster, directory, options, steps, signal } = context;
  const databaseBytes = await steps.run(
    `fill ${dataset.name}: ${dataset.description}`,
    async () => {
      await cluster.createDatabase(source);
      await fillDatabase(cluster, source, dataset, options.sizeGb, { signal });
      return Number(await cluster.psql(source, `SELECT pg_database_size('${source}')`));
    },
    (sizeBytes) => `${formatMegabytes(sizeBytes)} with indexes`,
  );
  const tools = openTools(cluster, directory, options, signal);
  const phases = await measurePhases(context, tools);
  await tools.close();
  await cluster.dropDatabase(source);
  return { dataset: dataset.name, sizeGb: options.sizeGb, databaseBytes, rawBytes: tools.rawBytes(), phases };
};
