import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { DbbackupError } from '#src/core/errors.js';
import { readRunLock, takeRunLock } from '#src/resume/run-lock.js';
import { openLocalStorage } from '#src/storage/local-storage.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';

const now = new Date('2026-01-02T03:04:05.000Z');
const later = new Date('2026-01-02T03:14:05.000Z');
const id = 'shop-1';

/** Replaces fields of the lock that stands there. */
const change = async (path: string, fields: Readonly<Record<string, unknown>>): Promise<void> => {
  const owner = JSON.parse(await readFile(path, 'utf8')) as Readonly<Record<string, unknown>>;
  await writeFile(path, JSON.stringify({ ...owner, ...fields }));
};

const withLock = (fn: (storage: ReturnType<typeof openLocalStorage>, path: string) => Promise<void>): Promise<void> =>
  withTemporaryDirectory((directory) => fn(openLocalStorage(directory), join(directory, id, 'lock.json')));

describe('the lock of a run', () => {
  it('is held by one, told with owner, host and age, and free again afterwards', () =>
    withLock(async (storage, path) => {
      const lock = await takeRunLock(storage, id, now);
      assert.equal((await readRunLock(storage, id))?.pid, process.pid);
      await assert.rejects(takeRunLock(storage, id, later), (error) => {
        assert.ok(error instanceof DbbackupError);
        assert.equal(error.code, 'locked');
        assert.match(error.message, new RegExp(`^backup shop-1 is worked on by process ${process.pid} on .+, for 10 min$`));
        return true;
      });
      await lock.release();
      assert.equal(await readRunLock(storage, id), null);
      await (await takeRunLock(storage, id, later)).release();
      assert.deepEqual(await readdir(join(path, '..')), []);
    }));

  it('is taken over from a process that has ended, was another, or went with an earlier start of the machine', async () => {
    for (const fields of [{ pid: 2 ** 22 + 1 }, { startTicks: '1' }, { bootId: '00000000-0000-0000-0000-000000000000' }]) {
      await withLock(async (storage, path) => {
        await takeRunLock(storage, id, now);
        await change(path, fields);
        assert.equal(await readRunLock(storage, id), null);
        const lock = await takeRunLock(storage, id, later);
        assert.equal((await readRunLock(storage, id))?.since, later.toISOString());
        await lock.release();
        assert.deepEqual(await readdir(join(path, '..')), []);
      });
    }
  });

  it('is taken over by exactly one of many that try', () =>
    withLock(async (storage, path) => {
      for (let round = 0; round < 10; round += 1) {
        await takeRunLock(storage, id, now);
        await change(path, { startTicks: '1' });
        const outcomes = await Promise.allSettled(Array.from({ length: 16 }, () => takeRunLock(storage, id, later)));
        const held = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
        assert.equal(held.length, 1);
        for (const outcome of outcomes) if (outcome.status === 'rejected') assert.equal((outcome.reason as DbbackupError).code, 'locked');
        await held[0]?.release();
        assert.deepEqual(await readdir(join(path, '..')), []);
      }
    }));

  it('survives one who died while it took it over', () =>
    withLock(async (storage, path) => {
      await takeRunLock(storage, id, now);
      await change(path, { startTicks: '1' });
      const { nonce } = JSON.parse(await readFile(path, 'utf8')) as { readonly nonce: string };
      await writeFile(`${path}.${nonce}`, await readFile(path));
      await (await takeRunLock(storage, id, later)).release();
      assert.deepEqual(await readdir(join(path, '..')), []);
    }));

  it('of another machine, or that nobody can read, is never taken', async () => {
    for (const content of ['{}', 'no json', '']) {
      await withLock(async (storage, path) => {
        await takeRunLock(storage, id, now);
        await writeFile(path, content);
        await assert.rejects(takeRunLock(storage, id, later), { code: 'locked', message: /cannot be read/ });
      });
    }
    await withLock(async (storage, path) => {
      await takeRunLock(storage, id, now);
      await change(path, { host: 'elsewhere' });
      await assert.rejects(takeRunLock(storage, id, later), { code: 'locked', message: /on elsewhere, for 10 min/ });
    });
  });

  it('is not given back by one who has lost it', () =>
    withLock(async (storage, path) => {
      const lost = await takeRunLock(storage, id, now);
      await change(path, { startTicks: '1' });
      const lock = await takeRunLock(storage, id, later);
      await lost.release();
      assert.equal((await readRunLock(storage, id))?.since, later.toISOString());
      await lock.release();
    }));
});
