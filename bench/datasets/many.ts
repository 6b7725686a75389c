import { type Dataset, type SqlStep, sqlStep } from './dataset.js';

const tablesPerTransaction = 250;

/**
 * Creates tables `${prefix}00001` and so on in `schema`, each with a key and `rowCount` short rows.
 * A transaction for 250 tables keeps the lock table small.
 */
export const smallTablesStep = (name: string, schema: string, prefix: string, first: number, last: number, rowCount: number): SqlStep => {
  const blocks: string[] = [];
  for (let begin = first; begin <= last; begin += tablesPerTransaction) {
    blocks.push(`DO $do$
DECLARE n integer; t text;
BEGIN
  FOR n IN ${begin} .. ${Math.min(last, begin + tablesPerTransaction - 1)} LOOP
    t := format('%I.%I', '${schema}', '${prefix}' || lpad(n::text, 5, '0'));
    EXECUTE format('CREATE TABLE %s (id integer PRIMARY KEY, label text NOT NULL, value numeric(10,2), at timestamptz)', t);
    EXECUTE format($sql$INSERT INTO %s SELECT i, 'row ' || i || ' of %s', (hashint4extended(i, %s) %% 100000)::numeric / 100,
      timestamptz '2024-01-01 00:00:00+00' + i * interval '1 h' FROM generate_series(1, %s) AS i$sql$, t, n, n, ${rowCount});
  END LOOP;
END $do$;`);
  }
  return sqlStep(name, blocks.join('\n'));
};

export const manyDataset: Dataset = {
  name: 'many',
  description: '3000 small tables for each gigabyte of scale, 100 rows each',
  stages: (sizeGb) => {
    const half = Math.max(1, Math.round(sizeGb * 1500));
    return [
      [
        [smallTablesStep('tables 1/2', 'public', 'small_', 1, half, 100)],
        [smallTablesStep('tables 2/2', 'public', 'small_', half + 1, 2 * half, 100)],
      ],
    ];
  },
};
