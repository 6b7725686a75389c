import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Keeper, type KeeperStart, startKeeper } from '#src/keeper/keeper.js';
import type { Cluster } from '../../support/cluster.js';
import { uniqueDatabaseName } from '../../support/database.js';
import type { Login } from '../../support/login.js';
import { connectionTo } from '../native/connections.js';

/** What a test's keeper starts with, under an ID that nothing else has. */
export const toStart = (cluster: Cluster, database = 'postgres', login?: Login): KeeperStart => ({
  id: uniqueDatabaseName('keeper').replaceAll('_', '-'),
  database: 1,
  databaseName: database,
  connection: connectionTo(cluster, database, login),
  ttlMs: 60_000,
});

/** Runs `fn` with a keeper and ends it afterwards, whoever is attached. */
export const withKeeper = async <T>(start: KeeperStart, fn: (keeper: Keeper) => Promise<T>): Promise<T> => {
  const keeper = await startKeeper(start);
  try {
    return await fn(keeper);
  } finally {
    await keeper.stop();
    await waitForEnd(keeper.info.pid);
  }
};

/** True while the process is there and no zombie. */
export const isAlive = async (pid: number): Promise<boolean> => {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    return !/\) [ZX] /.test(stat);
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
};

/** Resolves once a process has ended; rejects after `limitMs`. Gives how long it took. */
export const waitForEnd = async (pid: number, limitMs = 20_000): Promise<number> => {
  const startedAt = performance.now();
  while (await isAlive(pid)) {
    if (performance.now() - startedAt > limitMs) throw new Error(`process ${pid} has not ended within ${limitMs} ms`);
    await sleep(20);
  }
  return performance.now() - startedAt;
};

/** First value of a query's first row. */
export const ask = async (keeper: Keeper, sql: string): Promise<string | null | undefined> =>
  (await keeper.session.query(sql)).rows[0]?.[0];
