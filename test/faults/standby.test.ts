import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { show } from '#src/index.js';
import { runCli } from '../support/cli.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { slowTableSql, startSlowBackup, waitUntilEqual } from './support/slow.js';

/** 40 MB in a table that is cut into ranges, and what a standby cannot read. */
const sourceSql = `
CREATE TABLE large AS SELECT n AS id, (SELECT string_agg(sha256((n * 100 + i)::text::bytea), ''::bytea) FROM generate_series(1, 32) i) AS body FROM generate_series(1, 40000) n;
CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS id;
CREATE UNLOGGED SEQUENCE unlogged_sequence;
CREATE SEQUENCE used; SELECT setval('used', 77);
SELECT lo_from_bytea(4711, 'a large object');
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM large;
${slowTableSql}
ANALYZE;`;

describe('a standby as the source', () => {
  let primary: Cluster;
  let standby: Cluster;

  const catchUp = async (): Promise<void> => {
    const lsn = await primary.psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
    await waitUntilEqual(() => standby.psql('postgres', `SELECT pg_last_wal_replay_lsn() >= '${lsn}'`), 't');
  };

  before(async () => {
    primary = await startCluster({ settings: { wal_level: 'replica' } });
    await primary.createDatabase('shop');
    await primary.psql('shop', sourceSql);
    // Recovery waits for nobody: what stands in its way is cancelled at once.
    standby = await startCluster({ standbyOf: primary, settings: { max_standby_streaming_delay: '0', hot_standby_feedback: 'off' } });
    await catchUp();
  });
  after(async () => {
    await standby.stop();
    await primary.stop();
  });

  it('is backed up in ranges, with all that a standby can read, and restored', async () => {
    await withTemporaryDirectory(async (repository) => {
      assert.equal(await standby.psql('postgres', 'SELECT pg_is_in_recovery()'), 't');
      const outcome = await runCli(['backup', 'single', standby.uri('shop'), '--output-dir', repository, '--quiet', '--chunk-size', '4MB']);
      // What is left out is told: the status of a run with warnings.
      assert.equal(outcome.status, 3, outcome.stderr);
      assert.match(outcome.stderr, /public\.unlogged is saved without rows: unlogged tables have no rows on a standby/);
      const id = outcome.stdout.trim();
      const { manifest } = await show({ id, outputDir: repository });
      const [database] = manifest.databases;
      const large = database?.relations.find(({ name }) => name === 'large');
      assert.equal(large?.readMethod, 'ctid-ranges');
      assert.ok((large?.segments.length ?? 0) >= 8, `${large?.segments.length} segments`);
      assert.deepEqual(
        database?.sequences.map(({ name, lastValue }) => [name, lastValue]),
        [['used', '77']],
      );
      assert.match(database?.snapshots[0]?.lsn ?? '', /^[0-9A-F]+\/[0-9A-F]+$/);

      const restored = uniqueDatabaseName('restored');
      expectSuccess(
        await runCli(['restore', 'single', id, '--output-dir', repository, '--target-db', primary.uri(restored), '--create', '--check']),
      );
      const expected = new Map(await tableFingerprints(primary, 'shop'));
      expected.set('public.unlogged', '0 0 0');
      assert.deepEqual(await tableFingerprints(primary, restored), expected);
      assert.equal(await primary.psql(restored, 'SELECT lo_get(4711)'), '\\x61206c61726765206f626a656374');
      await primary.dropDatabase(restored);
    });
  });

  it('ends the backup where recovery needs rows to go, which is told with what to set', async () => {
    await withTemporaryDirectory(async (repository) => {
      const run = startSlowBackup(standby.uri('shop'), repository, '--compression', 'zstd:19', '--jobs', '1');
      await run.waitFor('chunk.finished');
      // The rows that the backup's snapshot still sees are removed on the primary, and so on the standby.
      await primary.psql('shop', 'DELETE FROM large WHERE id % 2 = 0');
      await primary.psql('shop', 'VACUUM large');
      expectFailure(await run.outcome, {
        status: 1,
        code: 'recovery_conflict',
        message: /due to conflict with recovery/,
        hint: /max_standby_streaming_delay.*hot_standby_feedback/,
      });
    });
  });

  it('waits with recovery for the backup where max_standby_streaming_delay says so', async () => {
    await standby.psql('postgres', "ALTER SYSTEM SET max_standby_streaming_delay = '-1'");
    await standby.psql('postgres', 'SELECT pg_reload_conf()');
    await withTemporaryDirectory(async (repository) => {
      const run = startSlowBackup(standby.uri('shop'), repository, '--compression', 'zstd:6', '--jobs', '1');
      await run.waitFor('chunk.finished');
      await primary.psql('shop', 'DELETE FROM slow WHERE id % 2 = 0');
      await primary.psql('shop', 'VACUUM slow');
      await sleep(200);
      const outcome = await run.outcome;
      assert.equal(outcome.status, 3, outcome.stderr);
      const finished = run.events.find((event) => event.type === 'backup.finished');
      assert.ok(finished?.type === 'backup.finished');
      const { manifest } = await show({ id: finished.id, outputDir: repository });
      assert.equal(manifest.databases[0]?.relations.find(({ name }) => name === 'slow')?.rowCount, 24_000);
    });
    await catchUp();
  });
});
