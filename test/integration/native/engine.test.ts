import assert from 'node:assert/strict';
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DbbackupError } from '#src/core/errors.js';
import type { CodecName, RowFormat } from '#src/core/results.js';
import { type Engine, openEngine } from '#src/native/engine.js';
import { hashFile } from '#src/native/hash-file.js';
import { runChild } from '../../support/child.js';
import { rootDir } from '../../support/cli.js';
import { withDatabase } from '../../support/database.js';
import { tlsLogin } from '../../support/login.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';
import { connectionTo } from './connections.js';
import { checkTask, copyInTask, copyOutTask, endlessQuery, fileSink, smallEngine, withEngine } from './tasks.js';

const sampleTable = `
  CREATE TABLE sample (id bigint PRIMARY KEY, note text, body bytea, price numeric, at timestamptz);
  INSERT INTO sample SELECT n, CASE WHEN n % 7 = 0 THEN NULL ELSE E'row\\t' || n || E'\\n\\\\ ä' END,
    decode(repeat(md5(n::text), (n % 50)::int), 'hex'), n / 3.0, timestamptz '2026-01-01Z' + n * interval '1 minute'
    FROM generate_series(1, 20000) n;
  INSERT INTO sample VALUES (0, '', decode(repeat('ab', 3000000), 'hex'), 'NaN', 'infinity');
  CREATE TABLE loaded (LIKE sample INCLUDING ALL);`;

const isSame = `SELECT (SELECT count(*) FROM sample) = (SELECT count(*) FROM loaded)
  AND NOT EXISTS (SELECT * FROM sample EXCEPT SELECT * FROM loaded)`;

const untilReading = async (engine: Engine, rawBytes = 4_000_000): Promise<void> => {
  while (engine.stats().rawBytes < rawBytes) await sleep(5);
};

describe('copyOut, check and copyIn', () => {
  const variants: readonly (readonly [CodecName, string, RowFormat, 'xxh3-128' | 'sha256'])[] = [
    ['zstd', '.zst', 'binary', 'xxh3-128'],
    ['zstd', '.zst', 'text', 'sha256'],
    ['lz4', '.lz4', 'binary', 'xxh3-128'],
    ['gzip', '.gz', 'text', 'xxh3-128'],
    ['none', '.copy', 'binary', 'xxh3-128'],
  ];
  for (const [codec, extension, format, checksum] of variants) {
    it(`bring a table there and back as ${format}, ${codec}, ${checksum}`, async () => {
      const cluster = await sharedCluster();
      await withDatabase(cluster, (database) =>
        withTemporaryDirectory((directory) =>
          withEngine(async (engine) => {
            await cluster.psql(database, sampleTable);
            const connection = connectionTo(cluster, database);
            const sink = fileSink(directory, { codec, extension, checksum, maxStoredBytes: 100_000 });
            const queries = [
              'SELECT * FROM sample WHERE id < 10000',
              'SELECT * FROM sample WHERE false',
              'SELECT * FROM sample WHERE id >= 10000',
            ];
            const result = await engine.run(copyOutTask(connection, queries, { format, sink }));

            assert.equal(result.taskId, 1);
            assert.equal(result.rowCount, 20001);
            assert.equal(
              result.segments.reduce((sum, { rowCount }) => sum + rowCount, 0),
              20001,
            );
            assert.deepEqual([...new Set(result.segments.map(({ source }) => source))], [0, 1, 2]);
            assert.ok(result.files.length > 1, 'a task goes on in a next part');
            assert.deepEqual((await readdir(directory)).sort(), result.files.map(({ path }) => path).sort());
            for (const [index, { path, sizeBytes, checksum: digest }] of result.files.entries()) {
              assert.equal((await stat(join(directory, path))).size, sizeBytes);
              assert.equal(await hashFile(join(directory, path), checksum), digest);
              const check = await engine.run(checkTask(result, sink, format, index));
              assert.deepEqual(check.findings, []);
            }

            const digests = await engine.run(copyOutTask(connection, queries, { format }));
            assert.deepEqual(digests.files, []);
            assert.equal(digests.rowCount, 20001);
            assert.deepEqual(
              digests.segments.map(({ file }) => file),
              [-1, -1, -1],
            );

            const loaded = await engine.run(copyInTask(connection, result, sink, 'loaded', format));
            assert.equal(loaded.rowCount, 20001);
            assert.equal(await cluster.psql(database, isSame), 't');
          }),
        ),
      );
    });
  }

  it('find a flipped byte, and load nothing of a damaged segment', async () => {
    const cluster = await sharedCluster();
    await withDatabase(cluster, (database) =>
      withTemporaryDirectory((directory) =>
        withEngine(async (engine) => {
          await cluster.psql(database, sampleTable);
          const connection = connectionTo(cluster, database);
          const sink = fileSink(directory);
          const result = await engine.run(copyOutTask(connection, ['SELECT * FROM sample'], { sink }));
          const path = join(directory, result.files[0]?.path ?? '');
          const bytes = await readFile(path);
          const file = await open(path, 'r+');
          const position = Math.floor(bytes.length / 2);
          await file.write(Buffer.from([(bytes[position] ?? 0) ^ 0x40]), 0, 1, position);
          await file.close();

          const { findings } = await engine.run(checkTask(result, sink, 'binary'));
          assert.ok(findings.some(({ kind }) => kind === 'checksum'));
          assert.ok(
            findings.some(({ segment, kind }) => segment === 'source 1' && kind === 'frame'),
            JSON.stringify(findings),
          );
          await assert.rejects(engine.run(copyInTask(connection, result, sink, 'loaded', 'binary')), (error: DbbackupError) => {
            assert.equal(error.code, 'data_damaged');
            assert.equal(error.details.object, 'source 1');
            assert.equal(error.details.path, path);
            return true;
          });
          assert.equal(await cluster.psql(database, 'SELECT count(*) FROM loaded'), '0');
        }),
      ),
    );
  });

  it('reject with the server’s error, named by the source, and leave no file', async () => {
    const cluster = await sharedCluster();
    await withTemporaryDirectory((directory) =>
      withEngine(async (engine) => {
        const connection = connectionTo(cluster, 'postgres');
        const queries = ['SELECT 1', 'SELECT 1 / (n - 50000) FROM generate_series(1, 100000) n'];
        const failing = engine.run(copyOutTask(connection, queries, { sink: fileSink(directory) }));
        await assert.rejects(failing, (error: DbbackupError) => {
          assert.equal(error.code, 'server_error');
          assert.equal(error.details.sqlstate, '22012');
          assert.equal(error.details.object, 'source 2');
          return true;
        });
        assert.deepEqual(await readdir(directory), []);
        await assert.rejects(
          engine.run(copyOutTask(connection, ['SELECT 1'], { sink: fileSink(join(directory, 'no/such')) })),
          (error: DbbackupError) => {
            assert.ok(['io_error', 'not_writable'].includes(error.code), error.code);
            assert.equal(typeof error.details.errno, 'number');
            assert.ok(error.details.path?.startsWith(join(directory, 'no/such')));
            return true;
          },
        );
        assert.equal((await engine.run(copyOutTask(connection, ['SELECT 1']))).rowCount, 1);
      }),
    );
  });

  it('notice a relation that is not what the plan saw', async () => {
    const cluster = await sharedCluster();
    await withEngine(async (engine) => {
      const task = copyOutTask(connectionTo(cluster, 'postgres'), ['SELECT 1']);
      const sources = task.sources.map((source) => ({ ...source, checkSql: 'SELECT 16384', checkExpected: '16385' }));
      await assert.rejects(engine.run({ ...task, sources }), { code: 'relation_changed' });
    });
  });
});

describe('a running engine', () => {
  it('leaves the event loop free', async () => {
    const cluster = await sharedCluster();
    await withTemporaryDirectory((directory) =>
      withEngine(async (engine) => {
        const delay = monitorEventLoopDelay({ resolution: 5 });
        delay.enable();
        const query = "SELECT repeat('x', 1000), generate_series(1, 400000)";
        const tasks = ['a', 'b'].map((stem) =>
          engine.run(copyOutTask(connectionTo(cluster, 'postgres', tlsLogin), [query], { sink: fileSink(directory, { stem }) })),
        );
        const results = await Promise.all(tasks);
        await engine.close();
        delay.disable();
        assert.deepEqual(
          results.map(({ rowCount }) => rowCount),
          [400000, 400000],
        );
        const elapsedMs = Math.max(...results.map((result) => result.elapsedMs));
        // Were any of it on this thread the loop would wait as long as the task; other programs on the machine may take the thread's turn for a while.
        assert.ok(delay.max / 1e6 < Math.max(elapsedMs / 2, 200), `delay ${delay.max / 1e6} ms in ${elapsedMs} ms`);
      }),
    );
  });

  it('counts, and tells what each worker does', async () => {
    const cluster = await sharedCluster();
    await withEngine(async (engine) => {
      assert.deepEqual(engine.stats(), { rawBytes: 0, storedBytes: 0, rowCount: 0, workers: [] });
      const running = engine.run(copyOutTask(connectionTo(cluster, 'postgres'), ['SELECT 1', endlessQuery], { taskId: 42 }));
      await untilReading(engine);
      const { workers, rowCount } = engine.stats();
      assert.equal(workers.length, 1);
      assert.equal(workers[0]?.taskId, 42);
      assert.equal(workers[0]?.source, 1);
      assert.ok(rowCount > 1000);
      const closed = engine.close();
      await assert.rejects(running, { code: 'cancelled' });
      await closed;
      assert.ok(engine.stats().rawBytes >= 4_000_000);
      assert.deepEqual(engine.stats().workers, []);
    });
  });

  it('runs more tasks than workers, in order', async () => {
    const cluster = await sharedCluster();
    await withEngine(
      async (engine) => {
        const finished: number[] = [];
        const tasks = Array.from({ length: 20 }, (_, index) => index + 1).map(async (taskId) => {
          const result = await engine.run(copyOutTask(connectionTo(cluster, 'postgres'), [`SELECT ${taskId}`], { taskId }));
          finished.push(result.taskId);
        });
        await Promise.all(tasks);
        assert.deepEqual(
          finished,
          Array.from({ length: 20 }, (_, index) => index + 1),
        );
      },
      { ...smallEngine, workerCount: 1 },
    );
  });

  for (const [title, login] of [
    ['the socket', undefined],
    ['TLS', tlsLogin],
  ] as const) {
    it(`stops within two seconds on ${title}, and leaves no file`, async () => {
      const cluster = await sharedCluster();
      await withTemporaryDirectory(async (directory) => {
        const engine = openEngine(smallEngine);
        const tasks = ['a', 'b', 'c'].map((stem) =>
          engine.run(copyOutTask(connectionTo(cluster, 'postgres', login), [endlessQuery], { sink: fileSink(directory, { stem }) })),
        );
        await untilReading(engine);
        const startedAt = performance.now();
        engine.stop();
        await Promise.all(tasks.map((task) => assert.rejects(task, { code: 'cancelled' })));
        assert.ok(performance.now() - startedAt < 2000);
        assert.deepEqual(await readdir(directory), []);
        await assert.rejects(engine.run(copyOutTask(connectionTo(cluster, 'postgres'), ['SELECT 1'])), { code: 'cancelled' });
        await engine.close();
        await engine.close();
        await assert.rejects(engine.run(copyOutTask(connectionTo(cluster, 'postgres'), ['SELECT 1'])), { code: 'cancelled' });
      });
    });
  }

  it('stops while the server is busy before the first row', async () => {
    const cluster = await sharedCluster();
    const controller = new AbortController();
    const engine = openEngine(smallEngine, { signal: controller.signal });
    const running = engine.run(copyOutTask(connectionTo(cluster, 'postgres', tlsLogin), ['SELECT pg_sleep(61)']));
    const sleepers = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT pg_sleep(61)%'";
    while ((await cluster.psql('postgres', sleepers)) !== '1') await sleep(20);
    const startedAt = performance.now();
    controller.abort();
    await assert.rejects(running, { code: 'cancelled' });
    assert.ok(performance.now() - startedAt < 2000);
    await engine.close();
    while ((await cluster.psql('postgres', sleepers)) !== '0') await sleep(20);
    assert.throws(() => openEngine(smallEngine, { signal: controller.signal }), { code: 'cancelled' });
  });

  it('stops a load and rolls it back', async () => {
    const cluster = await sharedCluster();
    await withDatabase(cluster, (database) =>
      withTemporaryDirectory(async (directory) => {
        const connection = connectionTo(cluster, database);
        const sink = fileSink(directory);
        const result = await withEngine((engine) =>
          engine.run(copyOutTask(connection, ["SELECT repeat('x', 1000), generate_series(1, 300000)"], { sink })),
        );
        await cluster.psql(database, 'CREATE TABLE loaded (a text, b int)');
        const engine = openEngine(smallEngine);
        const loading = engine.run(copyInTask(connection, result, sink, 'loaded', 'binary'));
        await untilReading(engine);
        const startedAt = performance.now();
        engine.stop();
        await assert.rejects(loading, { code: 'cancelled' });
        assert.ok(performance.now() - startedAt < 2000);
        await engine.close();
        assert.equal(await cluster.psql(database, 'SELECT count(*) FROM loaded'), '0');
      }),
    );
  });

  it('finishes its task although nobody holds it, and ends when it is collected', async () => {
    const task = copyOutTask(connectionTo(await sharedCluster(), 'postgres'), ['SELECT 1 FROM pg_sleep(0.5)']);
    const source = `
      import { readdirSync } from 'node:fs';
      import { setTimeout as sleep } from 'node:timers/promises';
      const { openEngine } = await import('#src/native/engine.js');
      const countThreads = () => readdirSync('/proc/self/task').length;
      const before = countThreads();
      const runs = Array.from({ length: 10 }, () => openEngine(${JSON.stringify(smallEngine)}).run(${JSON.stringify(task)}));
      globalThis.gc();
      for (const { rowCount } of await Promise.all(runs)) if (rowCount !== 1) process.exitCode = 4;
      runs.length = 0;
      // One thread stays: the one that joins the others.
      for (let tries = 0; countThreads() > before + 1; tries += 1) {
        if (tries > 200) process.exit(5);
        globalThis.gc();
        await sleep(20);
      }`;
    const { status, stderr } = await runChild(process.execPath, ['--expose-gc', '--input-type=module', '-e', source], { cwd: rootDir });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  });

  it('reports a file that is damaged from its first byte', async () => {
    await withTemporaryDirectory((directory) =>
      withEngine(async (engine) => {
        const path = join(directory, 'garbage.zst');
        await writeFile(path, Buffer.alloc(100_000, 0xee));
        const sink = fileSink(directory);
        const written = {
          taskId: 1,
          files: [{ path: 'garbage.zst', sizeBytes: 100_000, checksum: '0'.repeat(32) }],
          segments: [{ source: 0, file: 0, offset: 0, storedBytes: 100_000, rawBytes: 1, rowCount: 1, digest: '0'.repeat(32) }],
          findings: [],
          rawBytes: 1,
          storedBytes: 100_000,
          rowCount: 1,
          elapsedMs: 1,
        };
        const { findings } = await engine.run(checkTask(written, sink, 'binary'));
        assert.ok(findings.length >= 2, JSON.stringify(findings));
      }),
    );
  });
});
