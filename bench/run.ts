/** `npm run bench`: dbbackup beside pg_dump and pg_restore, alternating, with medians, spread and ratios. */
import { mkdir, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { rootDir } from '../test/support/cli.js';
import { formatMegabytes } from './format.js';
import { describeMachine } from './machine.js';
import { runMeasured } from './measured-child.js';
import { type DatasetResult, measureDataset } from './run-dataset.js';
import { parseRunOptions, type RunOptions, usage } from './run-options.js';
import { formatDatasetResult, listWarnings } from './run-report.js';
import { withScratchDirectory } from './scratch.js';
import { withServer } from './server.js';
import { createSteps } from './steps.js';
import { withStopSignals } from './stop-signals.js';

/** The same server for both: what an administrator sets for bulk work, but nothing that gives up safety. */
const settings = {
  shared_buffers: `${Math.min(1024, Math.floor(totalmem() / 4 / 1024 ** 2))}MB`,
  maintenance_work_mem: '256MB',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
  wal_level: 'replica',
  // For data sets of many tables.
  max_locks_per_transaction: '1024',
} as const;

/** Source, copy, backup and dump (text: twice the bytes of bytea) at a time, and the write-ahead log. */
const toNeededBytes = (sizeGb: number): number => sizeGb * 9e9 + 10e9;

const write = (text: string): void => void process.stdout.write(text);

const runBench = (options: RunOptions, signal: AbortSignal): Promise<number> =>
  withScratchDirectory('dbbackup-bench-', toNeededBytes(options.sizeGb), (directory) =>
    withServer(
      { baseDir: directory, settings, ...(options.version === undefined ? {} : { version: options.version }) },
      signal,
      async (cluster) => {
        const machine = await describeMachine(directory);
        const versions = {
          server: await cluster.psql('postgres', 'SHOW server_version'),
          pgDump: (await runMeasured(join(cluster.binDir, 'pg_dump'), ['--version'])).stdout.trim(),
        };
        write(`${machine.cpu}, ${machine.coreCount} cores, ${formatMegabytes(machine.memoryBytes)} of memory, Linux ${machine.kernel}, ${machine.fileSystem}, Node ${machine.node}
PostgreSQL ${versions.server} (${versions.pgDump}), fsync on, ${Object.entries(settings)
          .map(([name, value]) => `${name} ${value}`)
          .join(', ')}
Caches are warm: each data set has been read before it is measured. Before each run: CHECKPOINT, sync.
Medians (and range) are of the runs that nothing else disturbed, where there are any.\n\n`);
        const steps = createSteps(write, signal);
        const results: DatasetResult[] = [];
        for (const dataset of options.datasets) {
          const result = await measureDataset(
            { cluster, directory, options, steps, signal, patienceSeconds: options.patienceSeconds },
            dataset,
          );
          write(`\n${formatDatasetResult(result)}\n`);
          results.push(result);
        }
        const warnings = listWarnings(results);
        for (const warning of warnings) write(`noisy: ${warning}\n`);
        const path = join(rootDir, 'bench', 'results', `${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`);
        await mkdir(join(rootDir, 'bench', 'results'), { recursive: true });
        const record = {
          at: new Date().toISOString(),
          machine,
          versions,
          settings,
          backupArgs: options.backupArgs,
          restoreArgs: options.restoreArgs,
          warnings,
          results,
        };
        await writeFile(path, `${JSON.stringify(record, null, 2)}\n`);
        write(`all figures: ${path}\n`);
        return 0;
      },
    ),
  );

const parseOrFail = (): RunOptions | null | Error => {
  try {
    return parseRunOptions(process.argv.slice(2));
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};

const options = parseOrFail();
if (options instanceof Error) {
  process.stderr.write(`error: ${options.message}\n\n${usage}`);
  process.exitCode = 2;
} else if (options === null) {
  write(usage);
} else {
  process.exitCode = await withStopSignals((signal) => runBench(options, signal));
}
