import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sumDigests, zeroDigest } from '#src/manifest/digest.js';

const digest = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((value) => value.toString(16).padStart(32, '0'));

describe('row digests', () => {
  it('add up modulo 2^128', () => {
    assert.equal(sumDigests([]), zeroDigest);
    assert.equal(sumDigests(['f'.repeat(32), `${'0'.repeat(31)}1`]), zeroDigest);
    assert.equal(sumDigests(['0000000000000000ffffffffffffffff', `${'0'.repeat(31)}1`]), '00000000000000010000000000000000');
    assert.equal(sumDigests(['8'.padEnd(32, '0'), '8'.padEnd(32, '0'), `${'0'.repeat(31)}2`]), `${'0'.repeat(31)}2`);
  });

  it('do not depend on order or grouping, and equal rows do not cancel', () => {
    fc.assert(
      fc.property(fc.array(digest, { maxLength: 20 }), fc.nat(20), (digests, cut) => {
        const whole = sumDigests(digests);
        assert.match(whole, /^[0-9a-f]{32}$/);
        assert.equal(sumDigests([...digests].reverse()), whole);
        assert.equal(sumDigests([sumDigests(digests.slice(0, cut)), sumDigests(digests.slice(cut))]), whole);
        assert.equal(sumDigests([whole]), whole);
      }),
    );
    fc.assert(
      fc.property(
        digest.filter((value) => value !== zeroDigest && value !== '8'.padEnd(32, '0')),
        (value) => assert.notEqual(sumDigests([value, value]), zeroDigest),
      ),
    );
  });
});
