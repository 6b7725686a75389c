import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { expectFailure } from './support/failure.js';
import { listFiles } from './support/leftovers.js';
import { makeOldTools } from './support/old-tools.js';
import { smallSql, withScene } from './support/scene.js';

describe('client tools', () => {
  for (const [title, code, makeTools] of [
    ['are missing', 'tools_missing', (_cluster, directory) => mkdir(directory).then(() => directory)],
    ['are too old', 'tools_too_old', makeOldTools],
  ] as const satisfies readonly (readonly [string, string, typeof makeOldTools])[]) {
    it(`that ${title} are told with the package to install, and nothing is lost`, async () => {
      await withScene(smallSql, async ({ cluster, database, base, run, repository, backUp }) => {
        const tools = await makeTools(cluster, join(base, 'tools'));
        const expected = { status: 1, code, hint: new RegExp(`postgresql-client-${cluster.version} `) };
        const backup = await run(['backup', 'single', cluster.uri(database), '--pg-bin-dir', tools]);
        expectFailure(backup, { ...expected, message: /pg_dump/ });
        assert.deepEqual(await listFiles(repository), []);

        const id = await backUp();
        const restore = (target: string, ...more: readonly string[]) =>
          run(['restore', 'single', id, '--target-db', cluster.uri(target), '--pg-bin-dir', tools, ...more]);
        await withDatabase(cluster, async (target) => {
          await cluster.psql(target, smallSql);
          const before = await tableFingerprints(cluster, target);
          expectFailure(await restore(target, '--clean', '--yes'), { ...expected, message: /pg_restore/ });
          assert.deepEqual(await tableFingerprints(cluster, target), before, 'the target of --clean is as it was');
        });
        const created = uniqueDatabaseName('created');
        expectFailure(await restore(created, '--create'), { ...expected, message: /pg_restore/ });
        assert.equal(await cluster.psql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${created}'`), '0');
      });
    });
  }
});
