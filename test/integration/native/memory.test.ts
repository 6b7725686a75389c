import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runChild } from '../../support/child.js';
import { rootDir } from '../../support/cli.js';
import { withDatabase } from '../../support/database.js';
import { superuserLogin } from '../../support/login.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';
import { connectionTo } from './connections.js';
import { copyOutTask, fileSink, smallEngine } from './tasks.js';

const limit = 60 * 2 ** 20;

describe('memory', () => {
  it('does not grow with a row of 500 MB over TLS, there and back', async () => {
    const cluster = await sharedCluster();
    await withDatabase(cluster, (database) =>
      withTemporaryDirectory(async (directory) => {
        const connection = connectionTo(cluster, database, { ...superuserLogin, via: 'tls' });
        const sink = fileSink(directory, { codec: 'lz4', extension: '.lz4' });
        await cluster.psql(
          database,
          "CREATE TABLE huge (body text); INSERT INTO huge VALUES (repeat('0123456789', 50000000)); CREATE TABLE loaded (body text)",
        );
        const source = `
          import { readFileSync } from 'node:fs';
          const { openEngine } = await import('#src/native/engine.js');
          const status = (name) => Number(new RegExp(name + ':\\\\s*(\\\\d+) kB').exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
          const engine = openEngine(${JSON.stringify(smallEngine)});
          const sink = ${JSON.stringify(sink)};
          const out = (query, stem) => engine.run({
            ...${JSON.stringify(copyOutTask(connection, [''], { sink, format: 'text' }))},
            sources: [{ name: query, lockSql: null, checkSql: null, checkExpected: null, copySql: \`COPY (\${query}) TO STDOUT\`, format: 'text' }],
            sink: { ...sink, stem },
          });
          // Code, thread stacks and the pool itself are in memory after a small run.
          await out("SELECT repeat('x', 1000), generate_series(1, 30000)", 'small');
          const before = status('VmRSS');
          const { files, segments, rowCount } = await out('SELECT body FROM huge', 'huge');
          const afterReading = status('VmHWM');
          await engine.run({
            kind: 'copyIn', taskId: 2, session: ${JSON.stringify({ key: 'write', connection, setupSql: [], guardSql: null, guardExpected: null })},
            segments: segments.map(({ source, file, ...segment }) => ({
              name: 'huge', ...segment, format: 'text', path: sink.directory + '/' + files[file].path, codec: sink.codec,
              beginSql: ['BEGIN'], copySql: 'COPY loaded FROM STDIN', endSql: ['COMMIT'],
            })),
          });
          await engine.close();
          console.log(JSON.stringify({ rowCount, rawBytes: segments[0].rawBytes, reading: afterReading - before, loading: status('VmHWM') - before }));`;
        const { status, stdout, stderr } = await runChild(process.execPath, ['--input-type=module', '-e', source], { cwd: rootDir });
        assert.equal(stderr, '');
        assert.equal(status, 0);
        const measured = JSON.parse(stdout) as { rowCount: number; rawBytes: number; reading: number; loading: number };
        assert.equal(measured.rowCount, 1);
        assert.equal(measured.rawBytes, 500_000_001);
        assert.ok(measured.reading < limit, `reading took ${measured.reading} bytes more`);
        assert.ok(measured.loading < limit, `loading took ${measured.loading} bytes more`);
        const isSame = 'SELECT (SELECT hashtextextended(body, 0) FROM huge) = (SELECT hashtextextended(body, 0) FROM loaded)';
        assert.equal(await cluster.psql(database, isSame), 't');
      }),
    );
  });
});
