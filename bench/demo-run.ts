import { access } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Cluster } from '../test/support/cluster.js';
import { compare, comparisonHeader, type Performance, toRow } from './comparison.js';
import { demoDataset } from './datasets/demo.js';
import { findEvent, runDbbackup, toRunEnv } from './dbbackup.js';
import { compareImages, type DatabaseImage, formatDifference, readDatabaseImage } from './equality.js';
import { fillDatabase, flushEverything } from './fill.js';
import { formatMegabytes, formatTable } from './format.js';
import { type Measured, runMeasured } from './measured-child.js';
import { type DumpSetting, directoryBytes, listDumpSettings, runPgDump, runPgRestore } from './peers.js';
import type { Steps } from './steps.js';
import { findFastest, runTrial, type Trial } from './trials.js';

export interface DemoContext {
  readonly cluster: Cluster;
  /** For the repository and pg_dump's output: on the disk of the cluster. */
  readonly directory: string;
  readonly sizeGb: number;
  readonly steps: Steps;
  readonly signal: AbortSignal;
  readonly write: (text: string) => void;
}

const source = 'shop';

/** Fills the database and reads all of it once, so that nobody's first reading is a cold one. */
const makeSource = async ({ cluster, sizeGb, steps, signal }: DemoContext): Promise<DatabaseImage> => {
  await steps.run(
    `fill database "${source}": ${demoDataset.description}`,
    async () => {
      await cluster.createDatabase(source);
      await fillDatabase(cluster, source, demoDataset, sizeGb, { signal });
      return Number(await cluster.psql(source, `SELECT pg_database_size('${source}')`));
    },
    (sizeBytes) => `${formatMegabytes(sizeBytes)} with indexes`,
  );
  return await steps.run('fingerprint it on the server', () => readDatabaseImage(cluster, source));
};

/** Proves a copy equal to its source, then drops it; throws with the first differences when it is not. */
const prove = async ({ cluster, steps }: DemoContext, image: DatabaseImage, database: string): Promise<void> => {
  await steps.run(
    `compare "${database}" with "${source}" on the server`,
    async () => {
      const differences = compareImages(image, await readDatabaseImage(cluster, database));
      if (differences.length === 0) return;
      const shown = differences.slice(0, 10).map((difference) => `  ${formatDifference(difference)}`);
      throw new Error(
        `"${source}" and "${database}" differ in ${differences.length} places (${source} | ${database}):\n${shown.join('\n')}`,
      );
    },
    () => `${image.rows.size} tables, ${image.sequences.size} sequences and ${image.schema.length} lines of schema are equal`,
  );
  await cluster.dropDatabase(database);
};

interface OurRuns {
  readonly backup: Measured;
  readonly verify: Measured;
  readonly restore: Measured;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly backupDirectory: string;
}

const runOurs = async (context: DemoContext, image: DatabaseImage): Promise<OurRuns> => {
  const { cluster, directory, steps, signal } = context;
  const restored = 'shop_restored';
  const repository = join(directory, 'backups');
  const runCommand = (...args: readonly string[]) => runDbbackup([...args, '--output-dir', repository], toRunEnv(cluster), signal);

  await flushEverything(cluster);
  const backup = await steps.run(`dbbackup backup single ${source}`, () => runCommand('backup', 'single', source));
  const { id, rawBytes } = findEvent(backup, 'backup.finished');
  const verify = await steps.run(
    `dbbackup verify ${id}`,
    () => runCommand('verify', id),
    (run) => `${findEvent(run, 'verify.finished').fileCount} data files are sound`,
  );
  await flushEverything(cluster);
  const restore = await steps.run(`dbbackup restore single ${id} --target-db ${restored} --create`, () =>
    runCommand('restore', 'single', id, '--target-db', restored, '--create'),
  );
  await prove(context, image, restored);
  const backupDirectory = join(repository, id);
  const storedBytes = await directoryBytes(backupDirectory);
  return { backup: backup.measured, verify: verify.measured, restore: restore.measured, rawBytes, storedBytes, backupDirectory };
};

const isInstalled = async (program: string): Promise<boolean> => {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  const found = await Promise.allSettled(directories.map((directory) => access(join(directory, program))));
  return found.some(({ status }) => status === 'fulfilled');
};

/** The script starts a psql for each table: on a slow machine it would take the demo beyond its three minutes. */
const scriptDeadlineSeconds = 110;

/** Restores the backup with the script it holds: stock tools alone. */
const runScript = async (context: DemoContext, image: DatabaseImage, backupDirectory: string): Promise<void> => {
  const { cluster, steps, signal, write } = context;
  const restored = 'shop_by_script';
  if (!(await isInstalled('zstd'))) {
    write('     restore.sh is left out: it needs the program zstd, which is not installed\n');
    return;
  }
  if (steps.elapsedSeconds() > scriptDeadlineSeconds) {
    write(`     restore.sh is left out: more than ${scriptDeadlineSeconds} s have passed\n`);
    return;
  }
  await steps.run('restore.sh of that backup: psql, pg_restore and zstd alone', async () => {
    await cluster.createDatabase(restored, 'TEMPLATE template0');
    await runMeasured('bash', [join(backupDirectory, 'restore.sh'), '-d', restored, '-j', '2'], { env: toRunEnv(cluster), signal });
  });
  await prove(context, image, restored);
};

interface PeerRuns {
  readonly setting: DumpSetting;
  readonly dump: Measured;
  readonly restore: Measured;
  readonly storedBytes: number;
  readonly jobs: number;
}

const runPeers = async ({ cluster, directory, steps, signal }: DemoContext): Promise<PeerRuns> => {
  const jobs = Math.max(2, availableParallelism());
  const toDirectory = (setting: DumpSetting): string => join(directory, `pg_dump${setting.name.replaceAll(/\W+/g, '-')}`);
  const trials: Trial<DumpSetting>[] = [];
  for (const setting of listDumpSettings(cluster.version, [jobs])) {
    await flushEverything(cluster);
    // The whole demo has three minutes: a setting slower than the fastest so far is stopped.
    const trial = await steps.run(
      `pg_dump -Fd ${setting.name}`,
      () =>
        runTrial(setting, trials, { signal, slack: 1 }, (limited) => runPgDump(cluster, source, setting, toDirectory(setting), limited)),
      ({ measured }) => (measured === null ? 'stopped, since it is slower' : ''),
    );
    trials.push(trial);
  }
  const { setting, measured: dump } = findFastest(trials);
  await flushEverything(cluster);
  const restore = await steps.run(`createdb, pg_restore -j${jobs}, ANALYZE`, () =>
    runPgRestore(cluster, 'shop_by_peer', jobs, toDirectory(setting), signal),
  );
  return { setting, dump, restore, storedBytes: await directoryBytes(toDirectory(setting)), jobs };
};

const toPerformance = (tool: string, { seconds, peakMemory }: Measured, storedBytes: number | null): Performance => ({
  tool,
  seconds,
  storedBytes,
  peakBytes: peakMemory.treeBytes,
});

const formatResult = (ours: OurRuns, peers: PeerRuns): string => {
  const { rawBytes } = ours;
  const table = [
    ...comparisonHeader,
    ...compare(
      'backup',
      rawBytes,
      toPerformance('dbbackup', ours.backup, ours.storedBytes),
      toPerformance(`pg_dump -Fd ${peers.setting.name}`, peers.dump, peers.storedBytes),
    ),
    null,
    ...compare(
      'restore',
      rawBytes,
      toPerformance('dbbackup', ours.restore, null),
      toPerformance(`pg_restore -j${peers.jobs}`, peers.restore, null),
    ),
    null,
    toRow('verify', rawBytes, toPerformance('dbbackup', ours.verify, null)),
  ];
  return `
${formatTable(table, 2)}

ratio        dbbackup's figure divided by the other's; for MB/s, more is better, for the others less
MB/s         ${formatMegabytes(rawBytes)} of rows as dbbackup's COPY reads them, per second from the start of the program to its end
stored       all files of the backup; pg_dump at its fastest setting
peak memory  all processes of a tool at one moment, shared pages once; the process dbbackup alone: ${formatMegabytes(ours.backup.peakMemory.processBytes)} in the backup,
             ${formatMegabytes(ours.restore.peakMemory.processBytes)} in the restore
caches       warm for all; every tool flushes its files to the disk before it ends
`;
};

/** The demo proper, on a running empty cluster. Returns when every copy was proved equal to its source, and throws otherwise. */
export const runDemo = async (context: DemoContext): Promise<void> => {
  const image = await makeSource(context);
  const ours = await runOurs(context, image);
  const peers = await runPeers(context);
  await runScript(context, image, ours.backupDirectory);
  context.write(`${formatResult(ours, peers)}\nEverything is equal. ${context.steps.elapsedSeconds().toFixed(0)} s in all.\n`);
};
