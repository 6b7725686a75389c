import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DbbackupError } from '#src/core/errors.js';
import { parseManifest, serialiseManifest } from '#src/manifest/codec.js';
import { parseJournal } from '#src/manifest/journal.js';
import { sampleManifest, toFinished } from './sample.js';

/** Whatever is read, it is taken, or refused with one of the codes that readers of damaged backups rely on. */
const takesOrRefuses = (parse: () => unknown, codes: ReadonlySet<string>): void => {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof DbbackupError, `it threw ${String(error)}`);
    assert.ok(codes.has(error.code), `${error.code}: ${error.message}`);
    assert.ok(error.message.length < 2000, 'a message is a line, not the input');
  }
};

const manifestCodes = new Set(['manifest_damaged', 'format_unsupported', 'path_unsafe']);
const journalCodes = new Set(['manifest_damaged']);

/** Values that a field may be replaced by: of every type, at and beyond every limit, and what means something to somebody. */
const hostileValue = fc.oneof(
  fc.anything({ maxDepth: 2, withNullPrototype: false }).filter((value) => JSON.stringify(value) !== undefined),
  fc.constantFrom(
    null,
    -1,
    0.5,
    2 ** 53,
    1e308,
    '',
    '..',
    '/',
    '../../x',
    'data/../x',
    '\0',
    '\n',
    "'; DROP TABLE a; --",
    '__proto__',
    [],
    {},
    true,
  ),
);

/** Places in a JSON value, as paths of keys. */
const placesOf = (value: unknown, path: readonly string[] = []): readonly (readonly string[])[] =>
  typeof value !== 'object' || value === null
    ? [path]
    : [path, ...Object.entries(value).flatMap(([key, item]) => placesOf(item, [...path, key]))];

/** The value with another one at a place. */
const replaceAt = (value: unknown, path: readonly string[], by: unknown): unknown => {
  const [key, ...rest] = path;
  if (key === undefined) return by;
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value) ? [...value] : { ...(value as object) };
  Reflect.set(copy, key, replaceAt(Reflect.get(copy, key), rest, by));
  return copy;
};

/** Bytes of a text with some of them changed, removed or doubled. */
const mutated = (text: string): fc.Arbitrary<Buffer> =>
  fc
    .array(
      fc.record({
        at: fc.nat(Buffer.byteLength(text) - 1),
        kind: fc.constantFrom('set', 'cut', 'double'),
        byte: fc.nat(255),
        size: fc.nat(40),
      }),
      {
        minLength: 1,
        maxLength: 6,
      },
    )
    .map((changes) =>
      changes.reduce((bytes, { at, kind, byte, size }) => {
        const begin = Math.min(at, bytes.length);
        const end = Math.min(bytes.length, begin + size);
        const middle =
          kind === 'set'
            ? Buffer.from([byte])
            : kind === 'cut'
              ? Buffer.alloc(0)
              : Buffer.concat([bytes.subarray(begin, end), bytes.subarray(begin, end)]);
        return Buffer.concat([bytes.subarray(0, begin), middle, bytes.subarray(kind === 'set' ? begin + 1 : end)]);
      }, Buffer.from(text)),
    );

describe('random input', () => {
  const manifest: unknown = JSON.parse(JSON.stringify(sampleManifest()));
  const manifestText = serialiseManifest(sampleManifest());
  const places = placesOf(manifest);
  const journalText = [
    toFinished(1, 1, [{ source: 0, storedBytes: 10, rawBytes: 20, rowCount: 3, digest: 'a'.repeat(32) }], [], 'b'.repeat(32)),
    { atMs: 1, type: 'warning', message: 'x' },
  ]
    .map((event) => `${JSON.stringify(event)}\n`)
    .join('');

  it('in any field of a manifest is taken or refused', () => {
    assert.ok(places.length > 100);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...places), hostileValue), { minLength: 1, maxLength: 3 }), (changes) => {
        const changed = changes.reduce<unknown>((value, [path, by]) => replaceAt(value, path, by), manifest);
        takesOrRefuses(() => parseManifest(JSON.stringify(changed)), manifestCodes);
      }),
      { numRuns: 3000 },
    );
  });

  it('of changed bytes is a manifest, or refused', () => {
    fc.assert(
      fc.property(mutated(manifestText), (bytes) => takesOrRefuses(() => parseManifest(bytes.toString('utf8')), manifestCodes)),
      { numRuns: 1500 },
    );
  });

  it('of any bytes is no manifest, and as deep as can be', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) =>
        takesOrRefuses(() => parseManifest(Buffer.from(bytes).toString('utf8')), manifestCodes),
      ),
      { numRuns: 500 },
    );
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const)
      takesOrRefuses(() => parseManifest(`${open.repeat(200_000)}1${close.repeat(200_000)}`), manifestCodes);
  });

  it('in a journal is Events, or refused by its line, and a torn end is told', () => {
    fc.assert(
      fc.property(mutated(journalText), (bytes) =>
        takesOrRefuses(() => {
          const { completeBytes, isTorn } = parseJournal(bytes);
          assert.ok(completeBytes <= bytes.length);
          assert.equal(isTorn, completeBytes < bytes.length);
        }, journalCodes),
      ),
      { numRuns: 3000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => takesOrRefuses(() => parseJournal(Buffer.from(bytes)), journalCodes)),
      { numRuns: 1000 },
    );
  });
});
