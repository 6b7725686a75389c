import { type Dataset, sqlStep } from './dataset.js';

/** The two tables pgbench is known for: rows of 97 and of about 45 bytes as text. */
export const oltpDataset: Dataset = {
  name: 'oltp',
  description: 'narrow rows in the shape of pgbench_accounts and pgbench_history',
  stages: (sizeGb) => {
    // Bytes on disk per row: 134 and 52.
    const accountCount = Math.round((sizeGb * 0.6e9) / 134);
    const historyCount = Math.round((sizeGb * 0.4e9) / 52);
    return [
      [
        [
          sqlStep(
            'tables',
            `CREATE TABLE accounts (aid integer NOT NULL, bid integer, abalance integer, filler character(84));
             CREATE TABLE history (tid integer, bid integer, aid integer, delta integer, mtime timestamp);`,
          ),
        ],
      ],
      [
        [
          sqlStep(
            'accounts',
            `INSERT INTO accounts SELECT i, 1 + i / 100000, (hashint4extended(i, 1) % 100000)::int, ''
             FROM generate_series(1, ${accountCount}) AS i;`,
          ),
        ],
        [
          sqlStep(
            'history',
            `INSERT INTO history SELECT h & 1023, h >> 10 & 127, h >> 17 & 33554431, (h >> 42) % 5000, timestamp '2024-01-01' + i * interval '0.013 s'
             FROM (SELECT i, hashint4extended(i, 2) AS h FROM generate_series(1, ${historyCount}) AS i) AS s;`,
          ),
        ],
      ],
      [
        [sqlStep('keys', 'ALTER TABLE accounts ADD PRIMARY KEY (aid);')],
        [sqlStep('history index', 'CREATE INDEX history_aid ON history (aid);')],
      ],
    ];
  },
};
