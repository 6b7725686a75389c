import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { Dataset } from './datasets/dataset.js';
import { datasets, findDataset } from './datasets/index.js';

export interface RunOptions {
  readonly datasets: readonly Dataset[];
  readonly sizeGb: number;
  readonly runCount: number;
  readonly phases: readonly ('backup' | 'restore' | 'verify')[];
  /** Options added to `dbbackup backup single` and `dbbackup restore single`. */
  readonly backupArgs: readonly string[];
  readonly restoreArgs: readonly string[];
  /** Numbers of jobs tried with pg_dump and pg_restore. */
  readonly peerJobs: readonly number[];
  /** As in SamplingContext. */
  readonly patienceSeconds: number;
  /** Major version of the server; the newest installed when undefined. */
  readonly version: number | undefined;
}

export const usage = `Usage: npm run bench [-- OPTIONS]

Times dbbackup beside pg_dump and pg_restore at their best settings, alternating, on a PostgreSQL cluster of its own. Prints medians, spread and ratios,
and writes all figures to bench/results/.

  --dataset LIST       data sets, separated by commas (default: blob,oltp,mixed)
${datasets.map(({ name, description }) => `                         ${name.padEnd(6)} ${description}`).join('\n')}
  --scale GB           size of each data set (default: 1)
  --runs N             measured runs of each tool (default: 3)
  --only LIST          backup, verify, restore (default: all three)
  --peer-jobs LIST     numbers of jobs to try with pg_dump and pg_restore (default: cores, twice the cores)
  --backup-args TEXT   options for dbbackup backup single, separated by blanks
  --restore-args TEXT  options for dbbackup restore single
  --patience SECONDS   wait so long for a quiet machine before each run, and take disturbed runs again (default: 0)
  --pg-version MAJOR   server to use (default: the newest installed)
  --help               this text
`;

const parseNumber = (option: string, text: string, min: number): number => {
  const value = Number(text);
  if (!(value >= min)) throw new Error(`${option} ${text}: expected a number from ${min}`);
  return value;
};

const splitList = (text: string): readonly string[] => text.split(/[\s,]+/).filter((word) => word !== '');

const phaseNames = ['backup', 'verify', 'restore'] as const;

/** What the command line asks for; null for help. */
export const parseRunOptions = (argv: readonly string[]): RunOptions | null => {
  const text = (value: string) => ({ type: 'string', default: value }) as const;
  const cores = Math.max(2, availableParallelism());
  const { values } = parseArgs({
    args: [...argv],
    options: {
      dataset: text('blob,oltp,mixed'),
      scale: text('1'),
      runs: text('3'),
      only: text(phaseNames.join(',')),
      'peer-jobs': text(`${cores},${2 * cores}`),
      'backup-args': text(''),
      'restore-args': text(''),
      patience: text('0'),
      'pg-version': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  return {
    datasets: splitList(values.dataset).map((name) => {
      const dataset = findDataset(name);
      if (dataset === undefined) throw new Error(`--dataset ${name}: expected one of ${datasets.map((known) => known.name).join(', ')}`);
      return dataset;
    }),
    sizeGb: parseNumber('--scale', values.scale, 0.001),
    runCount: Math.round(parseNumber('--runs', values.runs, 1)),
    phases: splitList(values.only).map((name) => {
      const phase = phaseNames.find((known) => known === name);
      if (phase === undefined) throw new Error(`--only ${name}: expected ${phaseNames.join(', ')}`);
      return phase;
    }),
    backupArgs: values['backup-args'].split(/\s+/).filter(Boolean),
    restoreArgs: values['restore-args'].split(/\s+/).filter(Boolean),
    peerJobs: splitList(values['peer-jobs']).map((count) => Math.round(parseNumber('--peer-jobs', count, 1))),
    patienceSeconds: parseNumber('--patience', values.patience, 0),
    version: values['pg-version'] === undefined ? undefined : Math.round(parseNumber('--pg-version', values['pg-version'], 13)),
  };
};
