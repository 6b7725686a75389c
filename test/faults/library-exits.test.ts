import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Event } from '#src/index.js';
import { type ChildOutcome, runChild } from '../support/child.js';
import { rootDir } from '../support/cli.js';
import { tlsLogin } from '../support/login.js';
import { expectNoSessions, expectNothingPublished, expectOneUnfinishedRun, listFiles } from './support/leftovers.js';
import { type Scene, withScene } from './support/scene.js';
import { slowTableSql, waitForBlocked, withTransaction } from './support/slow.js';

/** A program that uses the library over TLS and calls process.exit(7) in the middle of a backup: at an Event of that type, or on SIGUSR2. */
const runProgram = (
  { cluster, database, repository }: Scene,
  stage: Event['type'] | null,
  onSpawn?: (kill: () => void) => void,
): Promise<ChildOutcome> => {
  const options = {
    connection: { database: cluster.uri(database, tlsLogin) },
    outputDir: repository,
    jobs: 2,
    chunkSizeBytes: 1024 ** 2,
    compression: { codec: 'zstd', level: 19 },
    isLevelForced: true,
  };
  const source = `
    const { backup } = await import('#src/index.js');
    process.on('SIGUSR2', () => process.exit(7));
    await backup(${JSON.stringify(options)}, { onEvent: ({ type }) => { if (type === ${JSON.stringify(stage)}) process.exit(7); } });
    process.exit(8);`;
  return runChild(process.execPath, ['--input-type=module', '-e', source], {
    cwd: rootDir,
    onSpawn: (child) => onSpawn?.(() => void child.kill('SIGUSR2')),
  });
};

const sql = `${slowTableSql} CREATE TABLE other AS SELECT 1 AS id; CREATE VIEW seen AS SELECT * FROM other;`;

describe('process.exit() in the middle of a backup', () => {
  it('ends the process at once, wherever it is, with no crash, no session left, and nothing but an unfinished run', async () => {
    await withScene(sql, async (scene) => {
      for (const stage of ['snapshot.taken', 'schema.dumped', 'chunk.started', 'progress', 'chunk.finished'] as const) {
        const { status, stderr } = await runProgram(scene, stage);
        assert.deepEqual({ status, stderr }, { status: 7, stderr: '' }, stage);
        await expectNothingPublished(scene.repository);
        await expectOneUnfinishedRun(scene.repository);
        await expectNoSessions(scene.cluster, scene.database);
      }
    });
  });

  it('ends pg_dump, too', async () => {
    await withScene(sql, async (scene) => {
      const { cluster, database, repository } = scene;
      await withTransaction(cluster, database, 'ALTER VIEW seen SET (security_barrier)', async (end) => {
        let exit = (): void => undefined;
        const outcome = runProgram(scene, null, (kill) => {
          exit = kill;
        });
        await waitForBlocked(cluster, database);
        exit();
        const { status, stderr } = await outcome;
        assert.deepEqual({ status, stderr }, { status: 7, stderr: '' });
        await expectNoSessions(cluster, database, { except: 'other' });
        await end('ROLLBACK');
      });
      assert.deepEqual(
        (await listFiles(repository)).filter((path) => path.endsWith('manifest.json')),
        [],
      );
      await expectOneUnfinishedRun(repository);
    });
  });
});
