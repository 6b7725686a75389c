import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deleteBackup, type Event, list, listKeepers, show, stopKeepers, verify } from '#src/index.js';
import type { Manifest } from '#src/manifest/schema.js';
import { uniqueDatabaseName } from '../support/database.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { type RunningCli, startRun } from './support/running.js';
import { type Scene, withScene } from './support/scene.js';

/**
 * Tasks in this order: customers and both partitions, whole, of 128 blocks each; some twenty chunks of a table that takes long; small tables that share a task; large objects. A key
 * leads from what is read last to what is read first.
 */
const resumeSql = `
CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers SELECT i, md5(i::text) FROM generate_series(1, 15360) i;
CREATE TABLE parts (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (15360); CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (15360) TO (100000);
INSERT INTO parts SELECT i, md5(i::text) FROM generate_series(0, 30719) i;
CREATE TABLE slow AS SELECT i AS id, (SELECT string_agg(md5((i * 40 + j)::text), '') FROM generate_series(1, 30) j) AS v FROM generate_series(1, 18000) i;
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, body bytea);
INSERT INTO orders SELECT i, i % 500 + 1, decode(md5(i::text), 'hex') FROM generate_series(1, 2000) i;
SELECT lo_from_bytea(0, decode(repeat(md5(i::text), 300), 'hex')) FROM generate_series(1, 20) i;`;

/** Slow enough to be killed in the middle. */
const slowOptions = ['--chunk-size', '1MB', '--jobs', '2', '--compression', 'zstd:12', '--force-level'];

/** True from the event on with which so many tasks have finished; it is asked about the same events again and again. */
const isChunk = (count: number) => {
  const seen = new Set<Event>();
  return (event: Event): boolean => {
    if (event.type === 'chunk.finished') seen.add(event);
    return seen.size >= count;
  };
};

const startBackup = ({ cluster, database, repository }: Scene, ...more: readonly string[]): RunningCli =>
  startRun(['backup', 'single', cluster.uri(database), '--output-dir', repository, ...slowOptions, ...more]);

/** Starts a backup, kills its process once so many tasks have finished, and gives its ID. */
const killAfter = async (run: RunningCli, taskCount: number): Promise<string> => {
  const started = await run.waitFor('backup.started');
  if (taskCount > 0) await run.waitFor(isChunk(taskCount));
  await run.end('SIGKILL');
  return started.type === 'backup.started' ? started.id : '';
};

const readManifest = async ({ repository }: Scene, id: string): Promise<Manifest> => (await show({ id, outputDir: repository })).manifest;

/** Restores a backup into a database of its own and gives the fingerprints of its tables. */
const restoreAndRead = async ({ cluster, run }: Scene, id: string): Promise<ReadonlyMap<string, string>> => {
  const target = uniqueDatabaseName('resumed');
  try {
    expectSuccess(await run(['restore', 'single', id, '--target-db', cluster.uri(target), '--create', '--check']));
    return await tableFingerprints(cluster, target);
  } finally {
    await cluster.dropDatabase(target);
  }
};

const expectSound = async ({ repository }: Scene, id: string): Promise<void> => {
  assert.deepEqual((await verify({ id, outputDir: repository })).damage, []);
};

describe('a backup whose process was killed', () => {
  it('is continued under the same snapshot, which its keeper held, whatever was written meanwhile', async () => {
    await withScene(resumeSql, async (scene) => {
      const { cluster, database, repository, run } = scene;
      const before = await tableFingerprints(cluster, database);
      const killed = startBackup(scene);
      const id = await killAfter(killed, 3);
      await cluster.psql(
        database,
        "DELETE FROM slow WHERE id % 2 = 0; UPDATE orders SET body = 'changed'; INSERT INTO customers VALUES (90000, 'new')",
      );
      assert.deepEqual(
        (await list({ outputDir: repository, isUnfinished: true })).backups.map(({ isRunning }) => isRunning),
        [false],
      );
      const outcome = await run(['resume', id]);
      assert.equal(expectSuccess(outcome).trim(), id);
      const manifest = await readManifest(scene, id);
      assert.equal(manifest.consistency, 'exact-after-resume');
      assert.ok(manifest.files.some(({ attempt }) => attempt === 1) && manifest.files.some(({ attempt }) => attempt === 2));
      assert.deepEqual(await restoreAndRead(scene, id), before);
      await expectSound(scene, id);
      assert.deepEqual(
        (await listKeepers()).keepers.filter((keeper) => keeper.id === id),
        [],
      );
      expectFailure(await run(['resume', id]), { status: 10, code: 'not_resumable', message: /it is finished/ });
    });
  });

  it('without a keeper is refused, and with --allow-mixed keeps whole tables and reads the rest under a new snapshot', async () => {
    await withScene(resumeSql, async (scene) => {
      const { cluster, database, run } = scene;
      const before = await tableFingerprints(cluster, database);
      const id = await killAfter(startBackup(scene, '--no-keeper'), 5);
      await cluster.psql(
        database,
        "DELETE FROM slow WHERE id % 2 = 0; UPDATE parts SET v = 'new' WHERE id = 1500; INSERT INTO customers VALUES (90000, 'new')",
      );
      const after = await tableFingerprints(cluster, database);
      expectFailure(await run(['resume', id]), { status: 1, code: 'snapshot_lost', message: /is gone/, hint: /--allow-mixed/ });
      const outcome = await run(['resume', id, '--allow-mixed']);
      assert.equal(outcome.status, 3, outcome.stderr);
      const manifest = await readManifest(scene, id);
      assert.equal(manifest.consistency, 'mixed');
      const [saved] = manifest.databases;
      assert.deepEqual(
        ['customers', 'parts', 'parts_1', 'parts_2', 'slow', 'orders'].map(
          (name) => saved?.relations.find((each) => each.name === name)?.snapshot,
        ),
        [1, 1, 1, 1, 2, 2],
      );
      assert.match(outcome.stderr, /the backup is mixed: 3 relations of an earlier snapshot/);
      assert.match(outcome.stderr, /public\.orders \(snapshot 2\) refers to public\.customers \(snapshot 1\)/);
      const restored = await restoreAndRead(scene, id);
      for (const { schema, name, kind, snapshot } of manifest.databases[0]?.relations ?? []) {
        if (kind === 'p') continue;
        const title = `${schema}.${name}`;
        assert.equal(restored.get(title), (snapshot === 1 ? before : after).get(title), title);
      }
      await expectSound(scene, id);
    });
  });
});

describe('--resume', () => {
  it('goes on with the newest run of the same database and options, or begins a new one', async () => {
    await withScene(resumeSql, async (scene) => {
      const { cluster, database, run } = scene;
      const options = ['--chunk-size', '1MB', '--jobs', '2'];
      const killed = startBackup(scene);
      const id = await killAfter(killed, 2);
      const other = expectSuccess(await run(['backup', 'single', cluster.uri(database), '--resume', ...options])).trim();
      assert.notEqual(other, id);
      expectFailure(await run(['backup', 'single', cluster.uri(database), '--resume', id, ...options]), {
        status: 10,
        code: 'not_resumable',
        message: /other options were given: compression/,
      });
      assert.equal(
        expectSuccess(
          await run(['backup', 'single', cluster.uri(database), '--resume', ...options, '--compression', 'zstd:12', '--force-level']),
        ).trim(),
        id,
      );
    });
  });

  it('refuses what is not there, is of another database, or is worked on', async () => {
    await withScene(resumeSql, async (scene) => {
      const { cluster, repository, run } = scene;
      expectFailure(await run(['resume', 'nothing']), { status: 10, code: 'repository_not_found', message: /no repository/ });
      // It must not come to its end meanwhile.
      const running = startBackup(scene, '--max-rate', '2MB');
      const started = await running.waitFor('chunk.started').then(() => running.events.find((event) => event.type === 'backup.started'));
      const id = started?.type === 'backup.started' ? started.id : '';
      expectFailure(await run(['resume', id]), {
        status: 11,
        code: 'locked',
        message: new RegExp(`is worked on by process ${running.pid} on`),
      });
      await assert.rejects(deleteBackup({ id, outputDir: repository, isConfirmed: true }), { code: 'locked' });
      await running.end('SIGKILL');
      expectFailure(await run(['resume', 'nothing']), { status: 10, code: 'backup_not_found', message: /nothing/ });
      expectFailure(await run(['backup', 'single', cluster.uri('postgres'), '--resume', id]), {
        status: 10,
        code: 'not_resumable',
        message: /it is of database/,
      });
      await stopKeepers({ id });
      await deleteBackup({ id, outputDir: repository, isConfirmed: true });
    });
  });
});
