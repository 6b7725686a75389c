import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../test/support/cluster.js';
import { type Measured, runMeasured } from './measured-child.js';

/** One way to run pg_dump. All of them write the directory format, the only one that has parallel workers. */
export interface DumpSetting {
  /** As in `-Z0 -j2`. */
  readonly name: string;
  readonly args: readonly string[];
}

/** The settings worth trying, the one that is usually fastest first: no compression, the cheapest gzip, and from 16 on the cheapest lz4 and zstd. */
export const listDumpSettings = (major: number, jobs: readonly number[]): readonly DumpSetting[] => {
  const codecs = ['0', ...(major >= 16 ? ['lz4', 'zstd:1'] : []), '1'];
  return codecs.flatMap((codec) => jobs.map((count) => ({ name: `-Z${codec} -j${count}`, args: [`-Z${codec}`, `-j${count}`] })));
};

/** Bytes of all files below a directory. */
export const directoryBytes = async (directory: string): Promise<number> => {
  const names = await readdir(directory, { recursive: true });
  const entries = await Promise.all(names.map((name) => stat(join(directory, name))));
  return entries.reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);
};

/** `pg_dump -Fd` of one database into a directory that does not exist yet. */
export const runPgDump = (
  cluster: Cluster,
  database: string,
  setting: DumpSetting,
  directory: string,
  signal: AbortSignal,
): Promise<Measured> =>
  runMeasured(join(cluster.binDir, 'pg_dump'), ['-Fd', ...setting.args, '-f', directory, database], { env: cluster.env(database), signal });

/** `createdb`, `pg_restore -jN`, ANALYZE: what `dbbackup restore single --create` does. Times are their sums, memory is pg_restore's. */
export const runPgRestore = async (
  cluster: Cluster,
  database: string,
  jobs: number,
  directory: string,
  signal: AbortSignal,
): Promise<Measured> => {
  const run = (program: string, ...args: readonly string[]): Promise<Measured> =>
    runMeasured(join(cluster.binDir, program), args, { env: cluster.env('postgres'), signal });
  const created = await run('createdb', '--template', 'template0', database);
  const restored = await run('pg_restore', `-j${jobs}`, '--exit-on-error', '-d', database, directory);
  const analyzed = await run('vacuumdb', '--analyze-only', '--jobs', String(jobs), '--quiet', database);
  return {
    ...restored,
    seconds: created.seconds + restored.seconds + analyzed.seconds,
    cpuSeconds: created.cpuSeconds + restored.cpuSeconds + analyzed.cpuSeconds,
  };
};
