import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Event } from '#src/core/events.js';
import { createJournal, Journal, parseJournal, readJournal } from '#src/manifest/journal.js';
import { openLocalStorage } from '#src/storage/local-storage.js';
import type { Appender } from '#src/storage/storage.js';
import { rejectsWith } from '../../contract/storage-suite.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';
import { run } from './sample.js';

const started: Event = {
  atMs: 1,
  type: 'backup.started',
  id: 'b-1',
  database: 'naïve\n😀',
  repository: '/r',
  pid: 1,
  host: 'h',
  toolVersion: '0.1.0',
};
const warning = (message: string): Event => ({ atMs: 2, type: 'warning', message });
const progress: Event = {
  atMs: 3,
  type: 'progress',
  rawBytes: 1,
  storedBytes: 1,
  rowCount: 1,
  estimatedRawBytes: 1,
  bytesPerSecond: 1,
  rssBytes: 1,
  active: [],
};

const toText = (events: readonly Event[]): Buffer => Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));

describe('journal', () => {
  it('keeps the Events in the order of the calls, progress left out', async () => {
    await withTemporaryDirectory(async (base) => {
      const storage = openLocalStorage(join(base, 'r'));
      const journal = await createJournal(storage, 'b-1');
      const events = [started, ...Array.from({ length: 200 }, (_, index) => warning(String(index)))];
      const appended = events.flatMap((event) => [journal.append(event), journal.append(progress)]);
      await Promise.all(appended);
      await journal.close();
      assert.deepEqual(await readJournal(storage, 'b-1'), { events, completeBytes: toText(events).length, isTorn: false });
      await assert.rejects(createJournal(storage, 'b-1'), rejectsWith('io_error'));
      assert.equal(await readJournal(storage, 'b-2'), null);
    });
  });

  it('has an Event on disk when append resolves', async () => {
    await withTemporaryDirectory(async (base) => {
      const storage = openLocalStorage(base);
      const journal = await createJournal(storage, 'b-1');
      for (let count = 1; count <= 5; count += 1) {
        await journal.append(warning(String(count)));
        assert.equal((await readJournal(storage, 'b-1'))?.events.length, count);
      }
      await journal.close();
    });
  });

  it('shares one sync among Events that came meanwhile', async () => {
    const writes: string[] = [];
    const appender: Appender = {
      append: async (bytes) => {
        writes.push(Buffer.from(bytes).toString());
        await new Promise((resolve) => setTimeout(resolve, 5));
      },
      close: async () => undefined,
    };
    const journal = new Journal(appender);
    for (let count = 0; count < 50; count += 1) {
      void journal.append(warning(String(count)));
      if (count % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await journal.close();
    assert.deepEqual(
      parseJournal(Buffer.from(writes.join(''))).events,
      Array.from({ length: 50 }, (_, count) => warning(String(count))),
    );
    assert.ok(writes.length < 20, `${writes.length} writes`);
  });

  it('writes nothing after an error, and tells it to everybody', async () => {
    let writes = 0;
    let isClosed = false;
    const appender: Appender = {
      append: async () => {
        writes += 1;
        if (writes === 2) throw new Error('disk gone');
      },
      close: async () => {
        isClosed = true;
      },
    };
    const journal = new Journal(appender);
    await journal.append(started);
    await assert.rejects(journal.append(warning('1')), /disk gone/);
    void journal.append(warning('nobody waits for this one'));
    await assert.rejects(journal.append(warning('2')), /disk gone/);
    await assert.rejects(journal.close(), /disk gone/);
    assert.equal(writes, 2);
    assert.equal(isClosed, true);
  });

  it('reads all complete lines of a journal torn at any byte', () => {
    const events = [started, warning('naïve 😀 "\\n'), ...fc.sample(run, { numRuns: 2, seed: 7 }).flatMap((sample) => sample.events)];
    const content = toText(events);
    const ends = events.map((_, index) => toText(events.slice(0, index + 1)).length);
    for (let length = 0; length <= content.length; length += 1) {
      const complete = ends.filter((end) => end <= length).length;
      const read = parseJournal(content.subarray(0, length));
      assert.equal(read.events.length, complete);
      assert.equal(read.completeBytes, complete === 0 ? 0 : ends[complete - 1]);
      assert.equal(read.isTorn, read.completeBytes !== length);
    }
    assert.deepEqual(parseJournal(content).events, JSON.parse(JSON.stringify(events)));
  });

  it('refuses a complete line that is no Event', () => {
    const bad = [
      '',
      '{',
      'null',
      '[]',
      '"x"',
      '{}',
      '{"type":"warning"}',
      '{"type":"warning","atMs":"1"}',
      '{"atMs":-1,"type":"x"}',
      '{"atMs":1,"type":"backup.started"}',
      '\0\0\0',
    ];
    const chunk = { atMs: 1, type: 'chunk.finished', taskId: 1, name: '', rawBytes: 1, storedBytes: 1, rowCount: 1, elapsedMs: 1 };
    const badChunks = [
      { ...chunk, taskId: 0 },
      { ...chunk, rowCount: 1.5 },
      { ...chunk, rawBytes: 2 ** 60 },
      { ...chunk, files: [{ path: '../x', sizeBytes: 1, checksum: 'a' }] },
      { ...chunk, segments: [{}] },
    ];
    for (const line of [...bad, ...badChunks.map((event) => JSON.stringify(event))]) {
      assert.throws(
        () => parseJournal(Buffer.concat([toText([started]), Buffer.from(`${line}\n`), toText([warning('after')])])),
        { code: 'manifest_damaged' },
        line,
      );
    }
    assert.equal(parseJournal(Buffer.from('{"atMs":1,"type":"of a later version","x":1}\n')).events.length, 1);
  });
});
