import { createCipheriv, createHash } from 'node:crypto';

const pieceBytes = 256 * 1024;
const zeros = Buffer.alloc(pieceBytes);

/** A stream of bytes that no codec can compress, the same for the same seed: the AES-128-CTR key stream of the seed's hash. */
export interface RandomBytes {
  /** Yields exactly `sizeBytes` in pieces of at most 256 KiB. */
  readonly pieces: (sizeBytes: number) => Iterable<Buffer>;
}

export const openRandomBytes = (seed: string): RandomBytes => {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  return {
    *pieces(sizeBytes) {
      for (let left = sizeBytes; left > 0; left -= pieceBytes) {
        yield cipher.update(left >= pieceBytes ? zeros : zeros.subarray(0, left));
      }
    },
  };
};

/** Yields 32-bit numbers from 0 up to 2^32-1, the same for the same seed (xorshift32). */
export const openRandomNumbers = (seed: number): (() => number) => {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
};
