import { type Dataset, sqlStep } from './dataset.js';

const laneCount = 2;

const insertRows = (first: number, last: number): string => `
INSERT INTO mixed SELECT i,
  timestamptz '2020-01-01 00:00:00+00' + (h & 134217727) * interval '1.234567 s',
  date '2000-01-01' + (h >> 20 & 8191)::int,
  (h >> 13 & 1073741823)::numeric / 100,
  (h >> 7)::double precision / 9007199254740992,
  (h >> 9 & 65535)::real / 17,
  (h & 7) < 5,
  md5(i::text)::uuid,
  ARRAY[h & 1023, h >> 10 & 1023, h >> 20 & 65535]::int[],
  ARRAY['label-' || (h & 63), 'zone-' || (h >> 6 & 15)],
  jsonb_build_object('customer', h & 1048575, 'score', (h >> 22 & 1023)::numeric / 8,
    'state', (ARRAY['new', 'paid', 'sent', 'closed'])[1 + (h & 3)::int], 'items', jsonb_build_array(h & 255, h >> 8 & 255)),
  CASE WHEN h & 15 = 0 THEN NULL ELSE 'note ' || (h & 65535) || ' for order ' || i END
FROM (SELECT i, hashint8extended(i, 42) AS h FROM generate_series(${first}, ${last}) AS i) AS s;`;

export const mixedDataset: Dataset = {
  name: 'mixed',
  description: 'wide rows: timestamps, numerics, floats, uuids, arrays, jsonb',
  stages: (sizeGb) => {
    // 318 bytes on disk per row.
    const rowsPerLane = Math.round((sizeGb * 1e9) / 318 / laneCount);
    return [
      [
        [
          sqlStep(
            'table',
            `CREATE TABLE mixed (id bigint NOT NULL, at timestamptz NOT NULL, day date, amount numeric(14,2), rate double precision, reading real,
               is_open boolean, code uuid, tags int[], labels text[], payload jsonb, note text);`,
          ),
        ],
      ],
      Array.from({ length: laneCount }, (_, lane) => [
        sqlStep(`rows ${lane + 1}/${laneCount}`, insertRows(lane * rowsPerLane + 1, (lane + 1) * rowsPerLane)),
      ]),
      [[sqlStep('key', 'ALTER TABLE mixed ADD PRIMARY KEY (id);')], [sqlStep('index', 'CREATE INDEX mixed_at ON mixed (at);')]],
    ];
  },
};
