import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countCells, formatTable, toPrintable, toPrintableLines, truncate } from '#src/cli/text.js';

test('control characters are shown, not sent', () => {
  assert.equal(toPrintable('a\u001b[2Jb\r\n\u0000\u007f\u009bc\u202ed'), 'a\\x1b[2Jb\\x0d\\x0a\\x00\\x7f\\x9bc\\u202ed');
  assert.equal(toPrintable('Größe 表 🙂'), 'Größe 表 🙂');
  assert.equal(toPrintableLines('one\ntwo\u0007\r\n', '  '), 'one\n  two\\x07');
});

test('nothing printable ever holds a control character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => assert.doesNotMatch(toPrintable(text), /[\p{Cc}\u2028\u2029\u202a-\u202e]/u)),
  );
});

test('cut text fits', () => {
  assert.equal(truncate('public.orders', 13), 'public.orders');
  assert.equal(truncate('public.orders', 9), 'public.…');
  assert.equal(truncate('表表表', 5), '表…');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 0, max: 20 }), (text, width) =>
      assert.ok(countCells(truncate(text, width)) <= width),
    ),
  );
});

test('a table aligns words to the left and numbers to the right', () => {
  assert.equal(
    formatTable(
      [{ title: 'NAME' }, { title: 'SIZE', isNumber: true }, { title: 'STATE' }],
      [
        ['shop', '1.57 GB', 'exact'],
        ['a-long-name', '17 B', ''],
      ],
    ),
    ['NAME            SIZE  STATE', 'shop         1.57 GB  exact', 'a-long-name     17 B'].join('\n'),
  );
});
