import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withDatabase } from '../support/database.js';
import { expectSuccess, readFailure } from './support/failure.js';
import { peakMemoryBytes } from './support/processes.js';
import { type RunningCli, startRun } from './support/running.js';
import { withScene } from './support/scene.js';

const mebibyte = 1024 ** 2;
const limitBytes = 150 * mebibyte;

const sql = `SET default_toast_compression = 'lz4';
CREATE TABLE large (id int, v bytea);
INSERT INTO large VALUES (1, convert_to(repeat('a large value.. ', ${(300 * mebibyte) / 16}), 'UTF8'));
CREATE TABLE others AS SELECT i AS id, repeat(md5(i::text), 4) AS v FROM generate_series(1, 160000) i;
CREATE TABLE more AS SELECT * FROM others;`;

/** Waits for a run's end and gives the highest resident memory it was seen with. */
const watchMemory = async (run: RunningCli): Promise<number> => {
  let peakBytes = 0;
  const timer = setInterval(async () => {
    peakBytes = Math.max(peakBytes, await peakMemoryBytes(run.pid));
  }, 20);
  try {
    expectSuccess(await run.outcome);
  } finally {
    clearInterval(timer);
  }
  assert.ok(peakBytes > 20 * mebibyte, 'it was measured');
  return peakBytes;
};

describe('the memory of a run', () => {
  it('stays below 150 MB at 4 jobs whatever the size of a row, in backup, verify and restore', async (t) => {
    await withScene(sql, async ({ cluster, database, repository }) => {
      for (const format of ['auto', 'text']) {
        const peaks: Record<string, number> = {};
        const watch = async (name: string, args: readonly string[]): Promise<RunningCli> => {
          const run = startRun([...args, '--jobs', '4', '--output-dir', repository]);
          peaks[name] = await watchMemory(run);
          for (const event of run.events) if ('peakRssBytes' in event) peaks[`${name} by its own report`] = event.peakRssBytes;
          return run;
        };
        const { events } = await watch('backup', ['backup', 'single', cluster.uri(database), '--chunk-size', '16MB', '--format', format]);
        const finished = events.find((event) => event.type === 'backup.finished');
        assert.ok(finished?.type === 'backup.finished');
        assert.ok(finished.rawBytes > 300 * mebibyte);
        const { id } = finished;
        await watch('verify', ['verify', id]);
        if (format === 'auto') {
          await withDatabase(cluster, (target) =>
            watch('restore', ['restore', 'single', id, '--target-db', cluster.uri(target), '--check']),
          );
          // A verification, which has no server to wait for, is ended by a signal as well.
          const run = startRun(['verify', id, '--output-dir', repository]);
          await run.waitFor('verify.started');
          const { status, stderr, elapsedMs } = await run.end('SIGTERM');
          assert.equal(status, 143, stderr);
          assert.equal(readFailure(stderr).code, 'cancelled');
          assert.ok(elapsedMs < 2000, `${elapsedMs} ms`);
        }
        const texts = Object.entries(peaks).map(([name, bytes]) => `${name}: ${(bytes / mebibyte).toFixed(1)} MB`);
        t.diagnostic(`${format}: ${texts.join(', ')}`);
        assert.equal(texts.length, format === 'auto' ? 5 : 3);
        assert.ok(
          Object.values(peaks).every((bytes) => bytes < limitBytes),
          texts.join(', '),
        );
      }
    });
  });
});
