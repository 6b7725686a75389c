import { type BinaryField, encodeCopy, int4Field } from './binary-copy.js';
import { copyStep, type Dataset, sqlStep } from './dataset.js';
import { openRandomBytes } from './random-bytes.js';

const valueBytes = 1_000_000;
const laneCount = 2;

function* rows(lane: number, rowCount: number): Iterable<readonly BinaryField[]> {
  const random = openRandomBytes(`blob ${lane}`);
  for (let row = 0; row < rowCount; row += 1) {
    yield [int4Field(row * laneCount + lane), { sizeBytes: valueBytes, pieces: random.pieces(valueBytes) }];
  }
}

export const blobDataset: Dataset = {
  name: 'blob',
  description: 'one table of incompressible bytea values of 1 MB',
  stages: (sizeGb) => {
    const rowsPerLane = Math.max(1, Math.round((sizeGb * 1e9) / valueBytes / laneCount));
    return [
      [[sqlStep('table', 'CREATE TABLE blob (id integer NOT NULL, content bytea NOT NULL);')]],
      Array.from({ length: laneCount }, (_, lane) => [
        copyStep(`values ${lane + 1}/${laneCount}`, 'COPY blob FROM STDIN (FORMAT binary)', () => encodeCopy(rows(lane, rowsPerLane))),
      ]),
      [[sqlStep('key', 'ALTER TABLE blob ADD PRIMARY KEY (id);')]],
    ];
  },
};
