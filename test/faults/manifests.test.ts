import assert from 'node:assert/strict';
import { cp, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCli } from '../support/cli.js';
import { uniqueDatabaseName } from '../support/database.js';
import { editManifest, flipBit, type Json } from './support/data-files.js';
import { expectFailure } from './support/failure.js';
import { smallSql, withScene } from './support/scene.js';

type Damage = readonly [
  title: string,
  code: 'manifest_damaged' | 'path_unsafe',
  message: RegExp,
  damage: (directory: string) => Promise<void>,
];

const edited =
  (change: (manifest: Json) => void): ((directory: string) => Promise<void>) =>
  (directory) =>
    editManifest(directory, change);

const damages: readonly Damage[] = [
  ['with a flipped bit', 'manifest_damaged', /manifest/, (directory) => flipBit(join(directory, 'manifest.json'), 100)],
  ['cut off', 'manifest_damaged', /manifest/, (directory) => truncate(join(directory, 'manifest.json'), 300)],
  ['of another version of a table', 'manifest_damaged', /rowCount/, edited((m) => (m.databases[0].relations[0].rowCount += 1))],
  ['with SQL for an encoding', 'manifest_damaged', /encoding/, edited((m) => (m.databases[0].encoding = "UTF8'; DROP TABLE orders; --"))],
  ['whose data file lies outside', 'path_unsafe', /files\.0\.path/, edited((m) => (m.files[0].path = '../../../etc/passwd'))],
  ['whose data file has an absolute path', 'path_unsafe', /files\.0\.path/, edited((m) => (m.files[0].path = '/etc/passwd'))],
  ['whose schema lies outside', 'path_unsafe', /schema\.path/, edited((m) => (m.databases[0].schema.path = 'schema/../../x'))],
];

describe('a manifest that is damaged or edited by hand', () => {
  it('is refused with its code, before anything is done', async () => {
    await withScene(smallSql, async ({ cluster, run, repository, backUp, directoryOf }) => {
      const id = await backUp();
      const directory = directoryOf(id);
      const target = uniqueDatabaseName('never');
      const restore = ['restore', 'single', id, '--target-db', cluster.uri(target), '--create'];
      await cp(directory, `${directory}.good`, { recursive: true });
      for (const [title, code, message, damage] of damages) {
        await damage(directory);
        for (const args of [['verify', id], restore]) {
          const outcome = await run(args);
          assert.equal(outcome.status, 20, title);
          expectFailure(outcome, { status: 20, code, message, hint: /copy/ });
        }
        assert.equal(await cluster.psql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${target}'`), '0');
        await rm(directory, { recursive: true });
        await cp(`${directory}.good`, directory, { recursive: true });
      }
      await rm(`${directory}.good`, { recursive: true });

      await flipBit(join(directory, 'manifest.json'), 100);
      const show = await runCli(['show', id, '--output-dir', repository]);
      expectFailure(show, { status: 20, code: 'manifest_damaged', message: /manifest/ });
      const listed = await run(['list']);
      assert.deepEqual({ status: listed.status, stdout: listed.stdout }, { status: 3, stdout: `${id}\n` });
      assert.match(listed.stderr, new RegExp(`^dbbackup: warning: ${id}: [^\\n]+\\n$`));
    });
  });
});
