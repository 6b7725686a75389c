import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../test/support/cluster.js';
import { findEvent, runDbbackup, toRunEnv } from './dbbackup.js';
import { type DumpSetting, directoryBytes, runPgDump, runPgRestore } from './peers.js';
import type { RunOptions } from './run-options.js';
import type { Outcome } from './sampling.js';

/** The database that is measured, and the copies that the restores make. */
export const source = 'bench';
export const ourCopy = 'bench_ours';
export const peerCopy = 'bench_theirs';

/** The tools on one cluster, as plain calls. Each backup or dump replaces the one before, and the restores use the last one. */
export interface Tools {
  readonly backUp: () => Promise<Outcome>;
  readonly verify: () => Promise<Outcome>;
  /** The copies must not exist. */
  readonly restore: () => Promise<Outcome>;
  readonly pgDump: (setting: DumpSetting, signal?: AbortSignal) => Promise<Outcome>;
  readonly pgRestore: (jobs: number, signal?: AbortSignal) => Promise<Outcome>;
  readonly dropCopies: () => Promise<void>;
  /** COPY bytes of all rows, as the last backup's report has them. */
  readonly rawBytes: () => number;
  readonly close: () => Promise<void>;
}

export const openTools = (cluster: Cluster, directory: string, options: RunOptions, signal: AbortSignal): Tools => {
  const repository = join(directory, 'backups');
  const dumpDirectory = join(directory, 'dump');
  const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true });
  const runCommand = (...args: readonly string[]) => runDbbackup([...args, '--output-dir', repository], toRunEnv(cluster), signal);
  let id = '';
  let rawBytes = 0;

  const dropCopies = async (): Promise<void> => {
    await cluster.dropDatabase(ourCopy);
    await cluster.dropDatabase(peerCopy);
  };
  return {
    backUp: async () => {
      await remove(repository);
      const run = await runCommand('backup', 'single', source, ...options.backupArgs);
      ({ id, rawBytes } = findEvent(run, 'backup.finished'));
      return { measured: run.measured, storedBytes: await directoryBytes(join(repository, id)) };
    },
    verify: async () => ({ measured: (await runCommand('verify', id)).measured, storedBytes: null }),
    restore: async () => {
      const { measured } = await runCommand('restore', 'single', id, '--target-db', ourCopy, '--create', ...options.restoreArgs);
      return { measured, storedBytes: null };
    },
    pgDump: async (setting, limited = signal) => {
      await remove(dumpDirectory);
      const measured = await runPgDump(cluster, source, setting, dumpDirectory, limited);
      return { measured, storedBytes: await directoryBytes(dumpDirectory) };
    },
    pgRestore: async (jobs, limited = signal) => ({
      measured: await runPgRestore(cluster, peerCopy, jobs, dumpDirectory, limited),
      storedBytes: null,
    }),
    dropCopies,
    rawBytes: () => rawBytes,
    close: async () => {
      await dropCopies();
      await remove(repository);
      await remove(dumpDirectory);
    },
  };
};
