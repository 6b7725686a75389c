import { DbbackupError } from '../core/errors.js';
import type { Session } from '../native/session.js';

/** What the catalog needs of a Session. */
export type QuerySession = Pick<Session, 'query'>;

/** One row of a query's result, in text format. */
export type Row = readonly (string | null)[];

/** The value of a column that the query never leaves null. */
export const toText = (row: Row, index: number): string => {
  const value = row[index];
  if (value === undefined || value === null) throw new DbbackupError('internal', `column ${index + 1} of a catalog query has no value`);
  return value;
};

export const toNumber = (row: Row, index: number): number => {
  const value = Number(toText(row, index));
  if (!Number.isSafeInteger(value)) throw new DbbackupError('internal', `column ${index + 1} of a catalog query is not a whole number`);
  return value;
};

export const toFlag = (row: Row, index: number): boolean => toText(row, index) === 't';

/** The only row of a query. */
export const queryRow = async (session: QuerySession, sql: string): Promise<Row> => {
  const { rows } = await session.query(sql);
  const row = rows[0];
  if (row === undefined) throw new DbbackupError('internal', 'a catalog query gave no row');
  return row;
};

/** Rows fetched at a time: at about 1 kB each they cost less memory than the block pool. */
const batchSize = 1000;

/** Calls `onRow` for every row, reading through a cursor so that only a batch is in memory. Needs an open transaction. */
export const forEachRow = async (session: QuerySession, sql: string, onRow: (row: Row) => void): Promise<void> => {
  await session.query(`DECLARE dbbackup_rows NO SCROLL CURSOR FOR ${sql}`);
  for (;;) {
    const { rows } = await session.query(`FETCH ${batchSize} FROM dbbackup_rows`);
    rows.forEach(onRow);
    if (rows.length < batchSize) break;
  }
  await session.query('CLOSE dbbackup_rows');
};
