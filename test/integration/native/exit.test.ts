import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runChild } from '../../support/child.js';
import { rootDir } from '../../support/cli.js';
import { tlsLogin } from '../../support/login.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { connectionTo } from './connections.js';
import { copyOutTask, endlessQuery, smallEngine } from './tasks.js';

/** A program that has two COPYs over TLS running when `end` is reached. Rejections that follow the end are what they should be. */
const program = async (end: string): Promise<string> => {
  const cluster = await sharedCluster();
  const connection = connectionTo(cluster, 'postgres', tlsLogin);
  return `
    const { openEngine } = await import('#src/native/engine.js');
    const { openSession } = await import('#src/native/session.js');
    const { setTimeout: sleep } = await import('node:timers/promises');
    const connection = ${JSON.stringify(connection)};
    const engine = openEngine(${JSON.stringify(smallEngine)});
    const expectCancelled = (error) => { if (error.code !== 'cancelled') { console.error(error); process.exitCode = 99; } };
    for (const taskId of [1, 2]) engine.run({ ...${JSON.stringify(copyOutTask(connection, [endlessQuery]))}, taskId }).catch(expectCancelled);
    const session = await openSession(connection);
    while (engine.stats().rawBytes < 2_000_000) await sleep(5);
    ${end}`;
};

const runProgram = async (end: string): Promise<{ status: number; stdout: string; stderr: string; elapsedMs: number }> => {
  const startedAt = performance.now();
  const outcome = await runChild(process.execPath, ['--input-type=module', '-e', await program(end)], { cwd: rootDir });
  return { ...outcome, elapsedMs: performance.now() - startedAt };
};

describe('the end of a process in the middle of a run', () => {
  it('by process.exit() is clean, twenty times', async () => {
    const rounds = Array.from({ length: 20 }, (_, round) => round);
    for (const pair of rounds.filter((round) => round % 2 === 0)) {
      const outcomes = await Promise.all(
        [pair, pair + 1].map((round) =>
          runProgram(`await sleep(${(round * 7) % 40}); session.query('SELECT pg_sleep(60)').catch(expectCancelled); process.exit(7);`),
        ),
      );
      for (const { status, stderr } of outcomes) {
        assert.equal(stderr, '');
        assert.equal(status, 7);
      }
    }
  });

  const ends: readonly (readonly [string, string, number, RegExp])[] = [
    ['an uncaught exception', "setTimeout(() => { throw new Error('a defect'); });", 1, /a defect/],
    ['a natural end after close', 'await engine.close(); await session.close();', 0, /^$/],
    [
      'a natural end with an idle session and engine',
      'await engine.close(); openEngine({ workerCount: 1, encoderCount: 1, blocksPerWorker: 4, maxBytesPerSecond: 0 });',
      0,
      /^$/,
    ],
    ['process.exit() while connecting', 'openSession(connection).catch(expectCancelled); process.exit(5);', 5, /^$/],
    ['process.exit() while closing', 'void engine.close(); void session.close(); process.exit(6);', 6, /^$/],
    [
      'process.exit() out of an exit listener that still uses it',
      "process.on('exit', () => { engine.stats(); engine.run({}).catch(() => {}); engine.stop(); session.stop(); void engine.close(); }); process.exit(8);",
      8,
      /^$/,
    ],
    [
      'process.exit() while a worker thread runs too',
      `
      const { Worker } = await import('node:worker_threads');
      const inWorker = ${JSON.stringify('PROGRAM')};
      const worker = new Worker(inWorker, { eval: true });
      await new Promise((resolve) => worker.once('message', resolve));
      process.exit(9);`,
      9,
      /^$/,
    ],
  ];
  for (const [title, end, status, stderr] of ends) {
    it(`by ${title} ends with status ${status}`, async () => {
      const nested = await program("(await import('node:worker_threads')).parentPort.postMessage('running');");
      // A worker's source is CommonJS.
      const outcome = await runProgram(
        end.replace('"PROGRAM"', () => JSON.stringify(`(async () => { ${nested.replaceAll("'#src/", `'${rootDir}dist/`)} })()`)),
      );
      assert.match(outcome.stderr, stderr);
      assert.equal(outcome.status, status);
      assert.ok(outcome.elapsedMs < 10_000, `${outcome.elapsedMs} ms`);
    });
  }

  it('waits for tasks that are running, not for what is idle', async () => {
    const cluster = await sharedCluster();
    const connection = connectionTo(cluster, 'postgres', tlsLogin);
    const source = `
      const { openEngine } = await import('#src/native/engine.js');
      const { openSession } = await import('#src/native/session.js');
      await openSession(${JSON.stringify(connection)});
      const engine = openEngine(${JSON.stringify(smallEngine)});
      engine.run(${JSON.stringify(copyOutTask(connection, ['SELECT pg_sleep(1)']))}).then(({ rowCount }) => console.log(rowCount));`;
    const { status, stdout, stderr } = await runChild(process.execPath, ['--input-type=module', '-e', source], { cwd: rootDir });
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '1\n', stderr: '' });
  });
});
