import { type Dataset, sqlStep } from './dataset.js';

/** Bytes on disk per account. */
const accountBytes = 134;
const accountsPerBranch = 100_000;

const accountsTable = 'CREATE TABLE accounts (aid integer NOT NULL, bid integer, abalance integer, filler character(84));';

const insertAccounts = (rowCount: number): string => `
INSERT INTO accounts SELECT i, 1 + i / ${accountsPerBranch}, (hashint4extended(i, 1) % 100000)::int, ''
FROM generate_series(1, ${rowCount}) AS i;`;

/** What `pgbench -i` makes: one large table of narrow rows beside tiny ones. */
export const oltpDataset: Dataset = {
  name: 'oltp',
  description: 'narrow rows in the shape of pgbench: accounts, tellers, branches',
  stages: (sizeGb) => {
    const rowCount = Math.round((sizeGb * 1e9) / accountBytes);
    const branchCount = 1 + Math.floor(rowCount / accountsPerBranch);
    return [
      [
        [
          sqlStep(
            'tables',
            `${accountsTable}
             CREATE TABLE branches AS SELECT i AS bid, 0 AS bbalance, NULL::character(88) AS filler FROM generate_series(1, ${branchCount}) AS i;
             CREATE TABLE tellers AS SELECT i AS tid, 1 + (i - 1) / 10 AS bid, 0 AS tbalance, NULL::character(84) AS filler
             FROM generate_series(1, 10 * ${branchCount}) AS i;`,
          ),
        ],
      ],
      [[sqlStep('accounts', insertAccounts(rowCount))]],
      [
        [
          sqlStep(
            'keys',
            'ALTER TABLE accounts ADD PRIMARY KEY (aid); ALTER TABLE tellers ADD PRIMARY KEY (tid); ALTER TABLE branches ADD PRIMARY KEY (bid);',
          ),
        ],
      ],
    ];
  },
};

/** Bytes on disk per entry of the history. */
const historyBytes = 52;

/** Two tables that take equally long: the best case of tools that give a table to one worker, on two cores. */
export const pairDataset: Dataset = {
  name: 'pair',
  description: 'narrow rows in two tables of equal size, which pg_dump -j2 spreads perfectly',
  stages: (sizeGb) => {
    const historyCount = Math.round((sizeGb * 0.4e9) / historyBytes);
    return [
      [
        [
          sqlStep(
            'tables',
            `${accountsTable} CREATE TABLE history (tid integer, bid integer, aid integer, delta integer, mtime timestamp);`,
          ),
        ],
      ],
      [
        [sqlStep('accounts', insertAccounts(Math.round((sizeGb * 0.6e9) / accountBytes)))],
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
