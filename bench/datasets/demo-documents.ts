import { type BinaryField, encodeCopy, int8Field, textField, timestamptzField } from './binary-copy.js';
import { openRandomBytes, openRandomNumbers } from './random-bytes.js';

const mib = 1024 * 1024;

/** Sizes from 10 kB up to `largestBytes`: a few large values, then small ones until `totalBytes` is reached. */
export const documentSizes = (totalBytes: number, largestBytes: number): readonly number[] => {
  const next = openRandomNumbers(11);
  const sizes = [1, 1 / 4, 1 / 4, ...Array<number>(4).fill(1 / 16), ...Array<number>(8).fill(1 / 64)].map((part) =>
    Math.round(largestBytes * part),
  );
  let sum = sizes.reduce((total, size) => total + size, 0);
  while (sum < totalBytes) {
    const size = 10_000 + (next() % 90_000);
    sizes.push(size);
    sum += size;
  }
  return sizes;
};

function* rows(sizes: readonly number[], customerCount: number): Iterable<readonly BinaryField[]> {
  const random = openRandomBytes('demo documents');
  const created = Date.UTC(2024, 0, 1);
  for (const [index, size] of sizes.entries()) {
    const id = index + 1;
    yield [
      int8Field(id),
      int8Field(1 + ((id * 7919) % customerCount)),
      textField(`scan-${id}.pdf`),
      textField(size > mib ? 'video/mp4' : 'application/pdf'),
      timestamptzField(new Date(created + id * 61_000)),
      { sizeBytes: size, pieces: random.pieces(size) },
    ];
  }
}

/** The binary COPY stream of table `documents`. */
export const documentRows = (sizes: readonly number[], customerCount: number): Iterable<Buffer> => encodeCopy(rows(sizes, customerCount));
