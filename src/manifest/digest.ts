/** Row digests as 32 hexadecimal digits: sums modulo 2^128 that do not depend on order (`docs/format.md` section 5). */

/** The digest of no rows. */
export const zeroDigest = '0'.repeat(32);

/** The digest of the rows of all parts together. */
export const sumDigests = (digests: Iterable<string>): string => {
  let sum = 0n;
  for (const digest of digests) sum += BigInt(`0x${digest}`);
  return BigInt.asUintN(128, sum).toString(16).padStart(32, '0');
};
