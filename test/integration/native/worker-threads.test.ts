import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { openEngine } from '#src/native/engine.js';
import { type ConnectionSpec, openSession } from '#src/native/session.js';
import type { Cluster } from '../../support/cluster.js';
import { tlsLogin } from '../../support/login.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { connectionTo } from './connections.js';
import { copyOutTask, endlessQuery, smallEngine, withEngine } from './tasks.js';

/** Tells this file's connections from those of tests that run at the same time. */
const applicationName = 'worker-threads.test';

const tlsConnection = (cluster: Cluster): ConnectionSpec => {
  const { keywords, values } = connectionTo(cluster, 'postgres', tlsLogin);
  return { keywords: [...keywords, 'application_name'], values: [...values, applicationName] };
};

/** Starts a worker thread whose program has `parentPort`, `openEngine`, `openSession`, `connection` and an endless `task`. */
const startWorker = async (body: string): Promise<Worker> => {
  const connection = tlsConnection(await sharedCluster());
  const source = `
    const { parentPort } = require('node:worker_threads');
    (async () => {
      const { openEngine } = await import(${JSON.stringify(import.meta.resolve('#src/native/engine.js'))});
      const { openSession } = await import(${JSON.stringify(import.meta.resolve('#src/native/session.js'))});
      const connection = ${JSON.stringify(connection)};
      const task = ${JSON.stringify(copyOutTask(connection, [endlessQuery]))};
      const options = ${JSON.stringify(smallEngine)};
      const untilReading = async (engine) => { while (engine.stats().rawBytes < 1_000_000) await new Promise((resolve) => setTimeout(resolve, 5)); };
      ${body}
    })();`;
  return new Worker(source, { eval: true });
};

const nextMessage = (worker: Worker): Promise<unknown> =>
  new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });

const countBackends = async (): Promise<number> => {
  const cluster = await sharedCluster();
  return Number(await cluster.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE application_name = '${applicationName}'`));
};

const untilNoBackends = async (): Promise<void> => {
  const deadline = Date.now() + 10_000;
  while ((await countBackends()) > 0) {
    assert.ok(Date.now() < deadline, 'connections are left behind');
    await sleep(50);
  }
};

describe('worker threads', () => {
  it('may be terminated in the middle of a run', async () => {
    for (let round = 0; round < 8; round += 1) {
      const worker = await startWorker(`
        const engine = openEngine(options);
        for (const taskId of [1, 2, 3]) void engine.run({ ...task, taskId });
        const session = await openSession(connection);
        await untilReading(engine);
        const flood = () => { for (let n = 0; n < 50; n += 1) session.query('SELECT generate_series(1, 100)'); };
        flood();
        parentPort.postMessage('running');
        setInterval(flood, 1);`);
      await nextMessage(worker);
      await sleep(round * 3);
      const startedAt = performance.now();
      await worker.terminate();
      assert.ok(performance.now() - startedAt < 3000, 'terminate() is prompt');
    }
    await untilNoBackends();
  });

  it('may be terminated while they connect, hash and close', async () => {
    for (let round = 0; round < 8; round += 1) {
      const worker = await startWorker(`
        const { hashFile } = await import(${JSON.stringify(import.meta.resolve('#src/native/hash-file.js'))});
        const engines = [openEngine(options), openEngine(options)];
        for (let n = 0; n < 10; n += 1) { void openSession(connection); void hashFile(process.execPath, 'sha256'); }
        void engines[0].run(task);
        void engines[0].close();
        parentPort.postMessage('running');`);
      await nextMessage(worker);
      await sleep(round * 5);
      await worker.terminate();
    }
    await untilNoBackends();
  });

  it('may end by themselves, by process.exit and by an error, with everything open', async () => {
    const ends = ['', 'process.exit(3);', "setTimeout(() => { throw new Error('a defect'); });"];
    const statuses = [0, 3, 1];
    for (const [index, end] of ends.entries()) {
      const worker = await startWorker(`
        const session = await openSession(connection);
        const engine = openEngine(options);
        ${end === '' ? '' : 'engine.run(task).catch(() => {}); await untilReading(engine);'}
        ${end}`);
      worker.on('error', () => undefined);
      const status = await new Promise((resolve) => worker.once('exit', resolve));
      assert.equal(status, statuses[index]);
    }
    await untilNoBackends();
  });

  it('have engines of their own, side by side', async () => {
    const cluster = await sharedCluster();
    const connection = tlsConnection(cluster);
    const finite = { ...copyOutTask(connection, ["SELECT repeat('x', 1000), generate_series(1, 50000)"]), taskId: 5 };
    const body = `
      const session = await openSession(connection);
      const engine = openEngine(options);
      const results = await Promise.all([1, 2, 3].map((taskId) => engine.run({ ...${JSON.stringify(finite)}, taskId })));
      const { rows } = await session.query('SELECT 1 + 1');
      await engine.close();
      await session.close();
      parentPort.postMessage([rows[0][0], ...results.map(({ rowCount, segments }) => rowCount + segments[0].digest)]);`;
    const workers = await Promise.all([startWorker(body), startWorker(body)]);
    const [first, second, own] = await Promise.all([
      ...workers.map(nextMessage),
      withEngine(async (engine) => {
        const { rowCount, segments } = await engine.run(finite);
        return `${rowCount}${segments[0]?.digest}`;
      }),
    ]);
    assert.deepEqual(first, ['2', own, own, own]);
    assert.deepEqual(second, first);
    await untilNoBackends();
  });

  it('do not stop what this thread has open', async () => {
    const cluster = await sharedCluster();
    const connection = connectionTo(cluster, 'postgres');
    const session = await openSession(connection);
    const engine = openEngine(smallEngine);
    const running = engine.run(copyOutTask(connection, ['SELECT pg_sleep(1)']));
    const worker = await startWorker(
      "openEngine(options); await openSession(connection); parentPort.postMessage('open'); setInterval(() => {}, 1000);",
    );
    await nextMessage(worker);
    await worker.terminate();
    assert.deepEqual((await session.query('SELECT 1')).rows, [['1']]);
    assert.equal((await running).rowCount, 1);
    await engine.close();
    await session.close();
  });
});
