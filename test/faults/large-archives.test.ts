import assert from 'node:assert/strict';
import { mkdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { storeLargeObjects } from '#src/commands/archives.js';
import { type DbbackupError, restore, verify } from '#src/index.js';
import { openLocalStorage } from '#src/storage/local-storage.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { editManifest } from './support/data-files.js';
import { listFiles } from './support/leftovers.js';
import { withScene } from './support/scene.js';

/** A file with a hole takes no space, and takes long to read. */
const largeBytes = 16 * 1024 ** 3;
const limitMs = 2000;

const isCancelled = ({ code }: DbbackupError): boolean => code === 'cancelled';

/** Asserts that what is begun with the signal is cancelled by it promptly. */
const expectPromptEnd = async (begin: (signal: AbortSignal) => Promise<unknown>): Promise<void> => {
  const controller = new AbortController();
  const ended = assert.rejects(begin(controller.signal), isCancelled);
  await sleep(200);
  const startedAt = performance.now();
  controller.abort();
  await ended;
  assert.ok(performance.now() - startedAt < limitMs, `${performance.now() - startedAt} ms`);
};

describe('an archive of very many large objects', () => {
  it('does not keep verify and restore from being cancelled while it is read', async () => {
    await withScene("SELECT lo_from_bytea(0, 'x')", async ({ cluster, database, repository, backUp, directoryOf }) => {
      const id = await backUp();
      await truncate(join(directoryOf(id), 'large-objects/0001.dump'), largeBytes);
      await editManifest(directoryOf(id), (manifest) => {
        manifest.databases[0].largeObjects.sizeBytes = largeBytes;
      });
      await expectPromptEnd((signal) => verify({ id, outputDir: repository }, { signal }));
      const connection = { database: cluster.uri(database) };
      await expectPromptEnd((signal) => restore({ id, outputDir: repository, connection }, { signal }));
    });
  });

  it('does not keep a backup from being cancelled while it is stored, which leaves nothing of it', async () => {
    await withTemporaryDirectory(async (base) => {
      await mkdir(join(base, 'b-1'));
      const target = { storage: openLocalStorage(base), id: 'b-1', database: 1, pgDumpVersion: '15.0' };
      await expectPromptEnd((signal) =>
        storeLargeObjects({ ...target, signal }, async (path) => {
          await truncate(path, largeBytes);
          return [];
        }),
      );
      assert.deepEqual(await listFiles(base), []);
    });
  });
});
