import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseNamePattern, toRelationMatcher, toServerRegex } from '#src/core/name-pattern.js';
import { isErrorWith } from '../../support/errors.js';

/** Each with what psql 15 makes of it: `\dt PATTERN` under `psql -E`. */
const expected: readonly (readonly [pattern: string, schema: string | null, name: string])[] = [
  ['orders', null, '^(orders)$'],
  ['Orders', null, '^(orders)$'],
  ['"Orders"', null, '^(Orders)$'],
  ['"a""b"', null, '^(a"b)$'],
  ['or*', null, '^(or.*)$'],
  ['or?ers', null, '^(or.ers)$'],
  ['"or*?"', null, '^(or\\*\\?)$'],
  ['a|b', null, '^(a|b)$'],
  ['"a|b"', null, '^(a\\|b)$'],
  ['a$b', null, '^(a\\$b)$'],
  ['"a$b"', null, '^(a\\$b)$'],
  ['public.*', '^(public)$', '^(.*)$'],
  ['"a.b".c', '^(a\\.b)$', '^(c)$'],
  ['int4[]', null, '^(int4\\[])$'],
  ['t[0-9]+', null, '^(t[0-9]+)$'],
  ['ÄÖ*', null, '^(ÄÖ.*)$'],
  ['A"B"c', null, '^(aBc)$'],
  ['sh.pub.t', '^(pub)$', '^(t)$'],
  ['', null, '^()$'],
];

const matches = (text: string, schema: string, name: string, isVisible = false): boolean =>
  toRelationMatcher(parseNamePattern(text, 'table'))({ schema, name, isVisible });

describe('patterns of names', () => {
  for (const [text, schema, name] of expected) {
    test(`${JSON.stringify(text)} becomes psql's regular expression`, () => {
      const pattern = parseNamePattern(text, 'table', 'sh');
      assert.equal(pattern.schema === null ? null : toServerRegex(pattern.schema), schema);
      assert.equal(toServerRegex(pattern.name), name);
    });
  }

  test('too many parts and other databases are refused', () => {
    assert.throws(() => parseNamePattern('a.b.c.d', 'table', 'a'), isErrorWith('usage', /too many/));
    assert.throws(() => parseNamePattern('other.b.c', 'table', 'a'), isErrorWith('usage', /another database/));
    assert.throws(() => parseNamePattern('other.b', 'schema', 'a'), isErrorWith('usage', /another database/));
    assert.equal(parseNamePattern('a.b', 'schema', 'a').name.length, 1);
  });

  test('names without a server match alike', () => {
    assert.ok(matches('orders', 'public', 'orders', true));
    assert.ok(!matches('orders', 'archive', 'orders', false));
    assert.ok(matches('*.orders', 'archive', 'orders'));
    assert.ok(!matches('*.orders', 'archive', 'orders2'));
    assert.ok(!matches('*.orders', 'archive', 'Orders'));
    assert.ok(matches('s.a|b', 's', 'b'));
    assert.ok(!matches('s.a|b', 's', 'ab'));
    assert.ok(matches('s."a|b"', 's', 'a|b'));
    assert.ok(matches('s.t[0-9]+', 's', 't12'));
    assert.ok(matches('s.[^x]', 's', 'y') && !matches('s.[^x]', 's', 'x'));
    assert.ok(matches('s.a$b', 's', 'a$b'));
    assert.ok(matches('s.*', 's', 'two\nlines'));
    assert.ok(matches('s.?', 's', '😀'), 'a character is a character');
    assert.ok(matches('s.int4[]', 's', 'int4[]'));
    assert.ok(matches('s.tab[[]1]', 's', 'tab[1]'));
    assert.ok(matches('"S".""', 'S', ''));
    assert.ok(matches('s."a/b-c"', 's', 'a/b-c'));
  });

  test('what the two kinds of regular expressions read differently is refused', () => {
    for (const text of ['s.\\d', 's.[[:digit:]]', 's.(a', 's.a)', 's.a++', 's.[z-a]'])
      assert.throws(() => matches(text, 's', 'a'), isErrorWith('usage', /regular expression/), text);
  });
});
