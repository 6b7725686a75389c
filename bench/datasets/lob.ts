import { type BinaryField, encodeCopy, int4Field } from './binary-copy.js';
import { copyStep, type Dataset, sqlStep } from './dataset.js';
import { openRandomBytes } from './random-bytes.js';

const objectBytes = 20_000;
const laneCount = 2;
/** OIDs the server does not give by itself on a new cluster. */
const firstOid = 1_000_000;

function* rows(lane: number, objectCount: number): Iterable<readonly BinaryField[]> {
  const random = openRandomBytes(`lob ${lane}`);
  for (let row = 0; row < objectCount; row += 1) {
    yield [int4Field(firstOid + row * laneCount + lane), { sizeBytes: objectBytes, pieces: random.pieces(objectBytes) }];
  }
}

export const lobDataset: Dataset = {
  name: 'lob',
  description: 'incompressible large objects of 20 kB, 50000 for each gigabyte of scale',
  stages: (sizeGb) => {
    const objectsPerLane = Math.max(1, Math.round((sizeGb * 1e9) / objectBytes / laneCount));
    const lanes = Array.from({ length: laneCount }, (_, lane) => lane);
    return [
      lanes.map((lane) => [
        sqlStep(`table ${lane + 1}`, `CREATE TABLE lob_${lane} (oid integer, content bytea);`),
        copyStep(`values ${lane + 1}/${laneCount}`, `COPY lob_${lane} FROM STDIN (FORMAT binary)`, () =>
          encodeCopy(rows(lane, objectsPerLane)),
        ),
        sqlStep(
          `objects ${lane + 1}/${laneCount}`,
          `SELECT count(lo_from_bytea(oid::oid, content)) FROM lob_${lane}; DROP TABLE lob_${lane};`,
        ),
      ]),
      [[sqlStep('statistics', 'VACUUM ANALYZE pg_largeobject;')]],
    ];
  },
};
