import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatBytes, formatCount, formatDuration, formatPlural, formatRate, parseSize } from '#src/core/units.js';

test('sizes are 1024-based, in either case, with or without B and spaces', () => {
  const expected: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['17', 17],
    ['17B', 17],
    ['1kB', 1024],
    ['1KB', 1024],
    ['512 MB', 512 * 1024 ** 2],
    ['1GB', 1024 ** 3],
    ['1g', 1024 ** 3],
    ['1.5GB', 1.5 * 1024 ** 3],
    ['2TB', 2 * 1024 ** 4],
    [' 3MB ', 3 * 1024 ** 2],
  ];
  for (const [text, sizeBytes] of expected) assert.equal(parseSize(text), sizeBytes, text);
});

test('what is no size is a usage error with advice', () => {
  for (const text of ['', 'GB', '-1GB', '1XB', '1 G B', '1e9', '0x10', '1,5GB', '1GBs', 'NaN', '9999999PB', '1.GB', '１GB']) {
    assert.throws(() => parseSize(text), { code: 'usage', message: `"${text}" is not a size` }, text);
  }
});

test('sizes have three digits and PostgreSQL’s units', () => {
  assert.deepEqual([0, 17, 999, 1000, 1024, 10_240, 1_023_999, 1_048_576, 1_685_774_663, 1024 ** 4 * 5].map(formatBytes), [
    '0 B',
    '17 B',
    '999 B',
    '0.98 kB',
    '1.00 kB',
    '10.0 kB',
    '0.98 MB',
    '1.00 MB',
    '1.57 GB',
    '5.00 TB',
  ]);
  assert.equal(formatRate(128 * 1024 ** 2), '128 MB/s');
});

test('a formatted size is read back within its rounding', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 52 }), (sizeBytes) => {
      const text = formatBytes(sizeBytes);
      assert.match(text, /^\d{1,3}(\.\d{1,2})? (B|kB|MB|GB|TB|PB)$/);
      assert.ok(Math.abs(parseSize(text) - sizeBytes) <= sizeBytes * 0.006 + 0.5, `${sizeBytes} became ${text}`);
    }),
  );
});

test('durations are short at every length', () => {
  const day = 86_400_000;
  assert.deepEqual(
    [0, 849.6, 999.6, 12_340, 59_949, 59_950, 245_000, 3_599_499, 3_600_000, 7_380_000, day - 1, day, day * 3 + 14_400_000].map(
      formatDuration,
    ),
    [
      '0 ms',
      '850 ms',
      '1.0 s',
      '12.3 s',
      '59.9 s',
      '1 min 00 s',
      '4 min 05 s',
      '59 min 59 s',
      '1 h 00 min',
      '2 h 03 min',
      '1 d 00 h',
      '1 d 00 h',
      '3 d 04 h',
    ],
  );
});

test('counts are grouped and take a plural', () => {
  assert.deepEqual([0, 999, 1000, 12_345_678].map(formatCount), ['0', '999', '1,000', '12,345,678']);
  assert.deepEqual(
    [formatPlural(1, 'file'), formatPlural(0, 'file'), formatPlural(2000, 'entry', 'entries')],
    ['1 file', '0 files', '2,000 entries'],
  );
});
