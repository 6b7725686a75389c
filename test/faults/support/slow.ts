import { setTimeout as sleep } from 'node:timers/promises';
import { openSession } from '#src/native/session.js';
import type { Cluster } from '../../support/cluster.js';
import { type RunningCli, startRun } from './running.js';

/** About 24 MB of text in small rows: hex compresses, so that a high level has work to do for many seconds. */
export const slowTableSql = `CREATE TABLE slow AS SELECT i AS id, (SELECT string_agg(md5((i * 40 + j)::text), '') FROM generate_series(1, 30) j) AS v
FROM generate_series(1, 24000) i;`;

/** Options under which backing up `slowTableSql` takes long: small chunks at the highest level. */
const slowOptions = ['--compression', 'zstd:22', '--force-level', '--chunk-size', '1MB', '--jobs', '2'];

/** Starts a backup of the database at `uri` that takes long; `more` overrides its options. */
export const startSlowBackup = (uri: string, repository: string, ...more: readonly string[]): RunningCli =>
  startRun(['backup', 'single', uri, '--output-dir', repository, ...slowOptions, ...more]);

/** Runs `fn` while a transaction that has run `sql` is open, and ends it with what `fn` was given or, failing that, with ROLLBACK. */
export const withTransaction = async <T>(
  cluster: Cluster,
  database: string,
  sql: string,
  fn: (end: (command: 'COMMIT' | 'ROLLBACK') => Promise<void>) => Promise<T>,
): Promise<T> => {
  const session = await openSession({ keywords: ['dbname', 'application_name'], values: [cluster.uri(database), 'other'] });
  try {
    await session.query('BEGIN');
    await session.query(sql);
    return await fn(async (command) => void (await session.query(command)));
  } finally {
    await session.close();
  }
};

/** Waits until `read` gives this value. */
export const waitUntilEqual = async (read: () => Promise<string>, wanted: string): Promise<void> => {
  const limitMs = 20_000;
  for (let waitedMs = 0; (await read()) !== wanted; waitedMs += 20) {
    if (waitedMs > limitMs) throw new Error(`it has not become ${wanted} within ${limitMs} ms`);
    await sleep(20);
  }
};

/** Waits until there is a session for which a condition on pg_stat_activity is true. */
export const waitForSession = (cluster: Cluster, condition: string): Promise<void> =>
  waitUntilEqual(
    () => cluster.psql('postgres', `SELECT count(*) > 0 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND ${condition}`),
    't',
  );

/** Waits until a session of dbbackup, or of a tool it runs, waits for a lock in the database. */
export const waitForBlocked = (cluster: Cluster, database: string): Promise<void> =>
  waitForSession(cluster, `datname = '${database}' AND wait_event_type = 'Lock' AND application_name <> 'other'`);

/** A function that takes very long in databases whose name begins with `nap`, and no time elsewhere: in a check constraint, an index, a view. */
export const napSql = `CREATE FUNCTION nap(id int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
  BEGIN IF current_database() LIKE 'nap%' THEN PERFORM pg_sleep(30); END IF; RETURN true; END $$;`;

/** Waits until `napSql` sleeps in the database. */
export const waitForSleep = (cluster: Cluster, database: string): Promise<void> =>
  waitForSession(cluster, `datname = '${database}' AND wait_event = 'PgSleep'`);
