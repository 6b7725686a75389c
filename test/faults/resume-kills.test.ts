import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Event, listKeepers, show, verify } from '#src/index.js';
import { uniqueDatabaseName } from '../support/database.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { expectSuccess } from './support/failure.js';
import { kills, randomOf, seed } from './support/kills.js';
import { startRun } from './support/running.js';
import { withScene } from './support/scene.js';

const corpusSql = `
CREATE TABLE slow AS SELECT i AS id, (SELECT string_agg(md5((i * 40 + j)::text), '') FROM generate_series(1, 30) j) AS v FROM generate_series(1, 12000) i;
CREATE TABLE parts (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (5000); CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (5000) TO (100000);
INSERT INTO parts SELECT i, md5(i::text) FROM generate_series(0, 9999) i;
CREATE TABLE counts (id int PRIMARY KEY, n int); INSERT INTO counts SELECT i, 0 FROM generate_series(1, 500) i;`;

/** After the snapshot: rows change, move between partitions, come and go. */
const writeSql = `UPDATE counts SET n = n + 1; UPDATE slow SET v = v || 'x' WHERE id % 40 = 0; UPDATE parts SET id = id + 5000 WHERE id % 100 = 7 AND id < 90000;
DELETE FROM parts WHERE id % 500 = 3; INSERT INTO parts SELECT 3 + 500 * i, 'new' FROM generate_series(0, 20) i;`;

describe('a backup that is killed at any moment', () => {
  it('is continued to what its snapshot saw, while rows are written', async (context) => {
    await withScene(corpusSql, async (scene) => {
      const { cluster, database, repository } = scene;
      const args = ['backup', 'single', cluster.uri(database), '--output-dir', repository];
      const options = ['--chunk-size', '1MB', '--jobs', '2', '--compression', 'zstd:9', '--force-level', '--resume'];
      const random = randomOf(seed);
      const startedAt = Date.now();
      expectSuccess(await startRun([...args, ...options]).outcome);
      const wholeMs = Date.now() - startedAt;
      const tally = { kills: 0, exact: 0, 'exact-after-resume': 0 };

      while (tally.kills < kills) {
        const before = await tableFingerprints(cluster, database);
        /** What saw the rows as they were before anything was written. */
        let firstSnapshot = '';
        let isWritten = false;
        let id = '';
        while (id === '') {
          const run = startRun([...args, ...options]);
          // Null where it was killed first.
          const write = async (event: Event | null): Promise<void> => {
            if (event?.type !== 'snapshot.taken' || isWritten) return;
            isWritten = true;
            firstSnapshot = `${event.snapshot} ${event.lsn}`;
            await cluster.psql(database, writeSql);
          };
          const written = run.waitFor('snapshot.taken').then(write, () => write(null));
          const isKilled = tally.kills < kills && random() < 0.75;
          const ended = await Promise.race([isKilled ? sleep(random() * wholeMs, 'kill') : run.outcome, run.outcome]);
          if (ended === 'kill') {
            process.kill(run.pid, 'SIGKILL');
            tally.kills += 1;
          }
          const outcome = await run.outcome;
          await written;
          if (ended === 'kill') continue;
          expectSuccess(outcome);
          const finished = run.events.find((event) => event.type === 'backup.finished');
          id = finished?.type === 'backup.finished' ? finished.id : '';
        }
        const { manifest } = await show({ id, outputDir: repository });
        assert.ok(manifest.consistency === 'exact' || manifest.consistency === 'exact-after-resume', manifest.consistency);
        tally[manifest.consistency] += 1;
        assert.deepEqual((await verify({ id, outputDir: repository })).damage, []);
        const target = uniqueDatabaseName('killed');
        try {
          expectSuccess(await scene.run(['restore', 'single', id, '--target-db', cluster.uri(target), '--create', '--check']));
          // One that was killed before it had read anything is begun anew under a snapshot of its own.
          const [snapshot, ...others] = manifest.databases[0]?.snapshots ?? [];
          assert.deepEqual(others, []);
          const isFirst = `${snapshot?.id} ${snapshot?.lsn}` === firstSnapshot;
          const expected = isFirst ? before : await tableFingerprints(cluster, database);
          assert.deepEqual(await tableFingerprints(cluster, target), expected);
        } finally {
          await cluster.dropDatabase(target);
        }
        assert.deepEqual(
          (await listKeepers()).keepers.filter((keeper) => keeper.id === id),
          [],
        );
        assert.equal((await scene.run(['delete', id, '--yes'])).status, 0);
      }
      context.diagnostic(`faults: ${JSON.stringify(tally)}; every backup is what its snapshot saw`);
    });
  });
});
