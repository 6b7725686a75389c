import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { buildManifest } from '#src/manifest/builder.js';
import { parseManifest, serialiseManifest, toChecksumLine, verifyChecksum } from '#src/manifest/codec.js';
import { toJsonSchema } from '#src/manifest/schema.js';
import { finishedAt, run, sampleManifest } from './sample.js';

/** The same value with the keys of every object turned round. */
const reverseKeys = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(reverseKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, reverseKeys(item)]),
  );
};

/** The same value with a field nobody knows in every object. */
const addFields = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(addFields);
  if (typeof value !== 'object' || value === null) return value;
  return {
    ...Object.fromEntries(Object.entries(value).map(([key, item]) => [key, addFields(item)])),
    laterField: { x: [1] },
    __proto__x: 1,
  };
};

describe('manifest codec', () => {
  it('reads back what it wrote, whatever the names are', () => {
    fc.assert(
      fc.property(run, ({ facts, events }) => {
        const manifest = buildManifest(facts, events, finishedAt);
        assert.deepEqual(parseManifest(serialiseManifest(manifest)), manifest);
      }),
      { numRuns: 60 },
    );
  });

  it('writes the same text for equal manifests', () => {
    fc.assert(
      fc.property(run, ({ facts, events }) => {
        const manifest = buildManifest(facts, events, finishedAt);
        assert.equal(serialiseManifest(reverseKeys(manifest) as typeof manifest), serialiseManifest(manifest));
        assert.equal(serialiseManifest(parseManifest(serialiseManifest(manifest))), serialiseManifest(manifest));
      }),
      { numRuns: 30 },
    );
  });

  it('writes what JSON.stringify would, relation by relation', () => {
    fc.assert(
      fc.property(run, ({ facts, events }) => {
        const text = serialiseManifest(buildManifest(facts, events, finishedAt));
        assert.equal(text, `${JSON.stringify(JSON.parse(text), null, 1)}\n`);
        assert.equal(text, `${JSON.stringify(parseManifest(text), null, 1)}\n`);
      }),
      { numRuns: 60 },
    );
  });

  it('ignores fields it does not know', () => {
    const manifest = sampleManifest();
    assert.deepEqual(parseManifest(JSON.stringify(addFields(manifest))), manifest);
  });

  it('refuses a text that was cut off anywhere', () => {
    const text = serialiseManifest(sampleManifest());
    fc.assert(
      fc.property(fc.nat(text.length - 3), (end) => assert.throws(() => parseManifest(text.slice(0, end)), { code: 'manifest_damaged' })),
      { numRuns: 200 },
    );
  });

  it('writes and compares the line that sha256sum prints', () => {
    assert.equal(toChecksumLine('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  manifest.json\n');
    verifyChecksum(Buffer.from('abc'), toChecksumLine('abc'));
    for (const line of ['', toChecksumLine('abd'), toChecksumLine('abc').trimEnd(), `${toChecksumLine('abc')}x`]) {
      assert.throws(() => verifyChecksum(Buffer.from('abc'), line), { code: 'manifest_damaged' });
    }
  });

  it('publishes its shape as docs/manifest.schema.json', async () => {
    const published: unknown = JSON.parse(await readFile(new URL('../../../../docs/manifest.schema.json', import.meta.url), 'utf8'));
    assert.deepEqual(published, JSON.parse(JSON.stringify(toJsonSchema())), 'write toJsonSchema() to docs/manifest.schema.json');
  });
});
