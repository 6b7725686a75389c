import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { displayName, isAscii, toClientEncoding, toLiteral } from '#src/catalog/names.js';

/** Reads `U&"…"` and `U&'…'` back as PostgreSQL does (manual, 4.1.1 and 4.1.2.3). */
const readEscapes = (text: string): string =>
  text.replace(/\\(?:\\|\+([0-9a-f]{6})|([0-9a-f]{4}))/g, (whole, long?: string, short?: string) =>
    whole === '\\\\' ? '\\' : String.fromCodePoint(Number.parseInt(long ?? short ?? '', 16)),
  );

describe('displayName', () => {
  it('keeps a name on one line', () => {
    assert.equal(displayName({ schema: 'public', name: 'orders' }), 'public.orders');
    assert.equal(displayName({ schema: 'a\nb', name: 'é\u2028\u001b[31m"' }), 'a\\u000ab.é\\u2028\\u001b[31m"');
  });
});

describe('toClientEncoding', () => {
  it('leaves names alone that reach the server as they are', () => {
    for (const encoding of ['UTF8', 'SQL_ASCII']) assert.equal(toClientEncoding('public."größe\\"', encoding), 'public."größe\\"');
    assert.equal(toClientEncoding('public."a ""; \\ b", plain', 'LATIN1'), 'public."a ""; \\ b", plain');
  });

  it('writes every identifier in ASCII, without changing it', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', minLength: 1 }), { minLength: 1, maxLength: 4 }), (names) => {
        const quoted = names.map((name) => `"${name.replaceAll('"', '""')}"`);
        const escaped = toClientEncoding(`plain.${quoted.join(', ')}`, 'LATIN1');
        assert.ok(isAscii(escaped));
        const parts = escaped.match(/(?:U&)?"(?:[^"]|"")*"/g) ?? [];
        assert.deepEqual(
          parts.map((part) => (part.startsWith('U&') ? readEscapes(part.slice(2)) : part)),
          quoted,
        );
      }),
    );
  });
});

describe('toLiteral', () => {
  it('quotes, and escapes where it must', () => {
    assert.equal(toLiteral(`it's \\ "é"`, 'UTF8'), `'it''s \\ "é"'`);
    assert.equal(toLiteral(`it's \\`, 'LATIN1'), `'it''s \\'`);
    assert.equal(toLiteral(`it's \\ é😀`, 'EUC_JP'), `U&'it''s \\\\ \\00e9\\+01f600'`);
  });
});
