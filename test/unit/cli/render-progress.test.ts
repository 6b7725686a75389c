import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLiveProgress, createPlainProgress, type ProgressOptions, type ProgressRenderer } from '#src/cli/render-progress.js';
import { type Style, toStyle } from '#src/cli/style.js';
import type { Event, EventBody } from '#src/core/events.js';
import { gibi, type RecordedStream, recordStream } from './support.js';

const startMs = Date.UTC(2026, 0, 2, 3, 4, 5);
const normal: ProgressOptions = { isQuiet: false, isVerbose: false };

const progress = (rawBytes: number, active: readonly string[] = ['public.orders chunk 3/17 (ctid blocks 0 to 99)']): EventBody => ({
  type: 'progress',
  rawBytes,
  storedBytes: rawBytes / 3,
  rowCount: 10,
  estimatedRawBytes: 3 * gibi,
  bytesPerSecond: 0.125 * gibi,
  rssBytes: 90_000_000,
  active,
});

/** Events with the second they happened at. */
const run: readonly (readonly [second: number, body: EventBody])[] = [
  [0, { type: 'backup.started', id: 'shop-1', database: 'shop', repository: '/b', pid: 1, host: 'h', toolVersion: '1' }],
  [0.1, { type: 'snapshot.taken', snapshot: '00000003-0000001B-1', lsn: '0/1A2B3C', relationCount: 312 }],
  [0.2, { type: 'schema.dumped', path: 'schema/0001.dump.zst', sizeBytes: 20_480, sha256: 'x' }],
  [
    0.3,
    { type: 'plan.ready', taskCount: 40, relationCount: 312, estimatedRawBytes: 3 * gibi, binaryRelationCount: 300, splitRelationCount: 1 },
  ],
  [0.4, { type: 'phase.started', phase: 'data' }],
  [0.5, { type: 'chunk.started', taskId: 1, name: 'public.orders chunk 3/17' }],
  [0.6, progress(0.03 * gibi)],
  [0.7, progress(0.04 * gibi)],
  [1, progress(0.75 * gibi)],
  [
    5,
    {
      type: 'chunk.finished',
      taskId: 1,
      name: 'public.orders chunk 3/17',
      rawBytes: 1024 ** 2,
      storedBytes: 1024,
      rowCount: 1,
      elapsedMs: 500,
    },
  ],
  [10.5, progress(1.5 * gibi)],
  [10.6, progress(1.5 * gibi)],
  [11, { type: 'warning', message: 'pg_dump: careful', object: 'public.t' }],
  [20.7, progress(2.5 * gibi)],
  [21, { type: 'phase.finished', phase: 'data', elapsedMs: 20_600 }],
  [
    21,
    {
      type: 'backup.finished',
      id: 'shop-1',
      rowCount: 1,
      rawBytes: 3 * gibi,
      storedBytes: gibi,
      elapsedMs: 21_000,
      bytesPerSecond: 1,
      peakRssBytes: 1,
    },
  ],
];

const render = (renderer: ProgressRenderer, events: readonly (readonly [number, EventBody])[] = run): void => {
  for (const [second, body] of events) renderer.render({ atMs: startMs + second * 1000, ...body } as Event);
  renderer.finish();
};

const plainStyle = (stream: RecordedStream): Style => toStyle(stream, {});

/** What a terminal shows after `written`: lines that scrolled and stayed. Knows the two sequences a live area uses. */
const showTerminal = (written: string): readonly string[] => {
  const lines: string[] = [];
  for (const line of written.split('\n').slice(0, -1)) {
    let rest = line;
    for (let match = /^\u001b\[(\d+)A\u001b\[0J/.exec(rest); match !== null; match = /^\u001b\[(\d+)A\u001b\[0J/.exec(rest)) {
      lines.length -= Number(match[1]);
      rest = rest.slice(match[0].length);
    }
    lines.push(rest);
  }
  // A last erasure is followed by no line end.
  const tail = /\u001b\[(\d+)A\u001b\[0J$/.exec(written.split('\n').at(-1) ?? '');
  return tail === null ? lines : lines.slice(0, lines.length - Number(tail[1]));
};

test('elsewhere than on a terminal: a line for each step, and one of progress in ten seconds', () => {
  const stream = recordStream();
  render(createPlainProgress(stream, plainStyle(stream), normal));
  assert.deepEqual(stream.text().split('\n'), [
    '2026-01-02T03:04:05Z backing up shop as shop-1 in /b',
    '2026-01-02T03:04:05Z snapshot 00000003-0000001B-1 taken at 0/1A2B3C, 312 relations locked',
    '2026-01-02T03:04:05Z schema saved, 20.0 kB',
    '2026-01-02T03:04:05Z 312 relations in 40 tasks, about 3.00 GB; 300 as binary, 1 split',
    '2026-01-02T03:04:05Z data',
    '2026-01-02T03:04:15Z data: 50 %, 1.50 GB of about 3.00 GB, 151 MB/s, ETA 10 s',
    '2026-01-02T03:04:16Z warning: public.t: pg_dump: careful',
    '2026-01-02T03:04:25Z data: 83 %, 2.50 GB of about 3.00 GB, 101 MB/s, ETA 5 s',
    '',
  ]);
});

test('--verbose tells each chunk, --quiet nothing but problems', () => {
  const verbose = recordStream();
  render(createPlainProgress(verbose, plainStyle(verbose), { isQuiet: false, isVerbose: true }));
  assert.match(verbose.text(), /Z public\.orders chunk 3\/17: 1 row, 1\.00 MB to 1\.00 kB in 500 ms, 2\.00 MB\/s\n/);
  const quiet = recordStream();
  render(createPlainProgress(quiet, plainStyle(quiet), { isQuiet: true, isVerbose: false }));
  assert.equal(quiet.text(), '2026-01-02T03:04:16Z warning: public.t: pg_dump: careful\n');
});

test('chunks that end because the run was cancelled are no news', () => {
  const stream = recordStream();
  render(createPlainProgress(stream, plainStyle(stream), normal), [
    [0, { type: 'chunk.failed', taskId: 1, name: 'public.a', code: 'cancelled', message: 'cancelled' }],
    [0, { type: 'chunk.failed', taskId: 2, name: 'public.b', code: 'page_damaged', message: 'page 7 cannot be read' }],
  ]);
  assert.equal(stream.text(), '2026-01-02T03:04:05Z public.b failed: page 7 cannot be read (page_damaged)\n');
});

test('no ETA below 5 %, no percentage where the estimate proved too low', () => {
  const lines = (rawBytes: number): string => {
    const stream = recordStream();
    const renderer = createPlainProgress(stream, plainStyle(stream), normal);
    render(renderer, [
      [0, progress(0)],
      [10, progress(rawBytes)],
    ]);
    return stream.text();
  };
  assert.match(lines(0.14 * gibi), /Z 4 %, 143 MB of about 3\.00 GB, 14\.3 MB\/s\n$/);
  assert.match(lines(0.16 * gibi), /ETA/);
  assert.match(lines(3.1 * gibi), /Z 3\.10 GB, 317 MB\/s\n$/);
});

test('on a terminal steps stay, progress is rewritten in place and taken back at the end', () => {
  const stream = recordStream(true);
  render(createLiveProgress(stream, toStyle(stream, { NO_COLOR: '1' }), normal));
  assert.deepEqual(showTerminal(stream.text()), [
    'backing up shop as shop-1 in /b',
    'snapshot 00000003-0000001B-1 taken at 0/1A2B3C, 312 relations locked',
    'schema saved, 20.0 kB',
    '312 relations in 40 tasks, about 3.00 GB; 300 as binary, 1 split',
    'data',
    'warning: public.t: pg_dump: careful',
  ]);
});

test('the live lines show a bar and the chunks in work, at most four times a second', () => {
  const stream = recordStream(true, 100);
  const renderer = createLiveProgress(stream, toStyle(stream, { NO_COLOR: '1' }), normal);
  const active = ['public.a', 'public.b', 'public.c', 'public.d', 'public.e'];
  for (const [second, body] of [
    [0, { type: 'phase.started', phase: 'data' }],
    [1, progress(1.5 * gibi, active)],
    [1.1, progress(1.6 * gibi, active)],
    [1.2, progress(1.7 * gibi, active)],
  ] as const) {
    renderer.render({ atMs: startMs + second * 1000, ...body } as Event);
  }
  assert.deepEqual(showTerminal(stream.text()), [
    'data',
    '[############............] data: 50 %, 1.50 GB of about 3.00 GB, 128 MB/s, ETA 12 s',
    '  public.a',
    '  public.b',
    '  public.c',
    '  and 2 more',
  ]);
});

test('no line is wider than the terminal, whatever a table is called', () => {
  const stream = recordStream(true, 40);
  const renderer = createLiveProgress(stream, toStyle(stream, { NO_COLOR: '1' }), normal);
  render(renderer, [
    [0, { type: 'phase.started', phase: 'data' }],
    [1, progress(1.5 * gibi, [`public.${'x'.repeat(100)}`, 'public.\u001b[2J\nboo', '表'.repeat(60)])],
  ]);
  const drawn = stream.text().split('\u001b[')[0] ?? '';
  assert.ok(!drawn.includes('\u001b'));
  assert.equal(drawn.split('\n').length, 6);
  for (const line of drawn.split('\n')) assert.ok(line.length < 40, line);
  assert.match(drawn, /public\.\\x1b\[2J\\x0aboo/);
});

test('colours only on a terminal that wants them', () => {
  const hasColour = (isTTY: boolean, environment: Record<string, string>): boolean =>
    toStyle(recordStream(isTTY), environment).red('x') !== 'x';
  assert.equal(hasColour(true, {}), true);
  assert.equal(hasColour(true, { NO_COLOR: '1' }), false);
  assert.equal(hasColour(true, { TERM: 'dumb' }), false);
  assert.equal(hasColour(false, {}), false);
});
