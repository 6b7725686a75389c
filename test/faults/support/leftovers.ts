import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { deleteBackup, list } from '#src/index.js';
import type { Cluster } from '../../support/cluster.js';

/** Paths of all files below a directory, relative to it; none where there is no directory. */
export const listFiles = async (directory: string): Promise<readonly string[]> => {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => `${entry.parentPath}/${entry.name}`.slice(directory.length + 1))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
};

/** Asserts that nothing in the repository counts as a backup, and that no file of a temporary name is left. */
export const expectNothingPublished = async (repository: string): Promise<void> => {
  const files = await listFiles(repository);
  assert.deepEqual(
    files.filter((path) => path.endsWith('/manifest.json') || path.endsWith('.tmp')),
    [],
  );
};

/** Asserts that the repository holds exactly one unfinished run, whose process is gone, and that it can be deleted; then nothing is left. */
export const expectOneUnfinishedRun = async (repository: string): Promise<void> => {
  assert.deepEqual((await list({ outputDir: repository })).backups, []);
  const { backups } = await list({ outputDir: repository, isUnfinished: true });
  assert.deepEqual(
    backups.map(({ state, isRunning }) => ({ state, isRunning })),
    [{ state: 'unfinished', isRunning: false }],
  );
  for (const { id } of backups) assert.equal((await deleteBackup({ id, outputDir: repository, isConfirmed: true })).wasFinished, false);
  assert.deepEqual(await listFiles(repository), ['dbbackup-repository.json']);
};

/** Asserts that a run ended by an error or a signal left nothing half-named, and one unfinished run at the most of what it had finished. */
export const expectFailedRun = async (repository: string): Promise<void> => {
  await expectNothingPublished(repository);
  await expectOneUnfinishedRun(repository);
};

/** Asserts that nobody, but for the application of that name, is connected to a database any more: a server may need a moment to notice that a client has gone. */
export const expectNoSessions = async (cluster: Cluster, database: string, { except = '' } = {}): Promise<void> => {
  const limitMs = 5000;
  const condition = `datname = '${database}' AND backend_type = 'client backend' AND application_name <> '${except}'`;
  const query = `SELECT coalesce(string_agg(application_name || ': ' || query, '; '), '') FROM pg_stat_activity WHERE ${condition}`;
  for (let waitedMs = 0; ; waitedMs += 50) {
    const sessions = await cluster.psql('postgres', query);
    if (sessions === '') return;
    assert.ok(waitedMs < limitMs, `still connected: ${sessions}`);
    await sleep(50);
  }
};
