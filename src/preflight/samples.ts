/** Which rows are sampled to estimate what a backup will hold, and what follows from them. Pure. */
import type { Relation } from '../catalog/model.js';
import { toClientEncoding } from '../catalog/names.js';
import { type Estimate, exactly } from '../core/estimates.js';
import type { RowFormat } from '../core/results.js';
import { countBlocks } from '../planner/chunking.js';

const mebibyte = 1024 ** 2;

/** What a frame holds: less compresses worse than the real thing. */
const rangeBytes = mebibyte;
const rangeCount = 8;
/** Values of many megabytes stand in one block of the table: so much of a block's rows is read at most. */
const maxRangeBytes = 4 * mebibyte;
/** Up to this a relation is read as a whole. */
const wholeBytes = 2 * mebibyte;

/** What is read of one relation. */
export interface Sample {
  /** `whole`: all of it. `ranges`: of blocks. `system`: blocks that the server picks, where it would read the whole table for each range. */
  readonly method: 'whole' | 'ranges' | 'system';
  /** Of the whole relation. */
  readonly blockCount: number;
  readonly blocksPerRange: number;
  /** First blocks. */
  readonly begins: readonly number[];
  /** Of one range; null: all. */
  readonly rowLimit: number | null;
}

/** What is to be read of a relation; null where nothing can be: its size must do. `version` is the server's. */
export const planSample = (relation: Relation, version: number, blockSizeBytes: number): Sample | null => {
  const { heapBytes, toastBytes, condition, accessMethod, estimatedRowCount } = relation;
  const sizeBytes = heapBytes + toastBytes;
  const blockCount = countBlocks(heapBytes, blockSizeBytes);
  const whole: Sample = { method: 'whole', blockCount, blocksPerRange: blockCount, begins: [0], rowLimit: null };
  if (sizeBytes <= wholeBytes) return whole;
  if (accessMethod !== 'heap' || (condition !== null && condition !== '')) return null;
  const bytesPerBlock = sizeBytes / blockCount;
  const blocksPerRange = Math.max(1, Math.min(blockCount, Math.round(rangeBytes / bytesPerBlock)));
  const count = Math.min(rangeCount, Math.floor(blockCount / blocksPerRange));
  const bytesPerRow = estimatedRowCount > 0 ? sizeBytes / estimatedRowCount : bytesPerBlock;
  const rowLimit = bytesPerBlock * blocksPerRange > maxRangeBytes ? Math.max(1, Math.floor(maxRangeBytes / bytesPerRow)) : null;
  if (rowLimit === null && count * blocksPerRange >= blockCount) return whole;
  // In the middle of equal shares: the first blocks of a table are often those of other times.
  const begins = Array.from({ length: count }, (_, index) =>
    Math.max(0, Math.min(blockCount - blocksPerRange, Math.floor(((index + 0.5) * blockCount) / count - blocksPerRange / 2))),
  );
  return { method: version >= 140000 ? 'ranges' : 'system', blockCount, blocksPerRange, begins, rowLimit };
};

/** What follows FROM ONLY: the rows of one range, for a session whose `client_encoding` is `encoding`. */
const toSource = (relation: Relation, sample: Sample, begin: number, encoding: string): string => {
  const table = toClientEncoding(relation.quotedName, encoding);
  const { method, blockCount, blocksPerRange } = sample;
  if (method === 'whole') return `${table} ${relation.condition ?? ''}`;
  if (method === 'ranges')
    return `${table} WHERE ctid >= '(${begin},0)'::pg_catalog.tid AND ctid < '(${begin + blocksPerRange},0)'::pg_catalog.tid`;
  const percent = ((blocksPerRange * 100) / blockCount).toFixed(9);
  return `${table} TABLESAMPLE SYSTEM (${percent}) REPEATABLE (${begin})`;
};

/** COPY of one range. */
export const toSampleSql = (relation: Relation, format: RowFormat, sample: Sample, begin: number, encoding: string): string => {
  const columns = toClientEncoding(relation.columns.map(({ quotedName }) => quotedName).join(', '), encoding);
  const limit = sample.rowLimit === null ? '' : ` LIMIT ${sample.rowLimit}`;
  return `COPY (SELECT ${columns} FROM ONLY ${toSource(relation, sample, begin, encoding)}${limit}) TO STDOUT (FORMAT ${format})`;
};

/** The number of rows in one range, without their values: needed where `rowLimit` cuts it. For a session whose `client_encoding` is UTF8. */
export const toCountSql = (relation: Relation, sample: Sample, begin: number): string =>
  `SELECT pg_catalog.count(*) FROM ONLY ${toSource(relation, sample, begin, 'UTF8')}`;

/** What came of one range. */
export interface SampledRange {
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly rowCount: number;
  /** Rows it holds; null: all were read. */
  readonly rowsInRange: number | null;
}

/** Two-sided 95 % quantiles of Student's distribution, by degrees of freedom. */
const quantiles = [12.7, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31] as const;
/** What a few ranges cannot tell: how the ones between them differ. */
const leastRelativeError = 0.02;
/** Of what rests on one range alone. */
const blindRelativeError = 0.5;

/** The whole relation's raw and stored bytes. */
export const foldSample = (sample: Sample, ranges: readonly SampledRange[]): { readonly raw: Estimate; readonly stored: Estimate } => {
  const scale = ({ rowCount, rowsInRange }: SampledRange): number => (rowsInRange === null || rowCount === 0 ? 1 : rowsInRange / rowCount);
  const fold = (pick: (range: SampledRange) => number): Estimate => {
    const values = ranges.map((range) => pick(range) * scale(range));
    if (sample.method === 'whole') return exactly(values[0] ?? 0);
    const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
    const share = sample.blockCount / sample.blocksPerRange;
    const value = mean * share;
    const quantile = quantiles[values.length - 2];
    if (quantile === undefined) return { value, error: value * blindRelativeError };
    const variance = values.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (values.length - 1);
    const unread = sample.rowLimit === null ? Math.sqrt(Math.max(0, 1 - values.length / share)) : 1;
    const error = quantile * Math.sqrt(variance / values.length) * share * unread;
    return { value, error: Math.max(error, value * leastRelativeError) };
  };
  return { raw: fold(({ rawBytes }) => rawBytes), stored: fold(({ storedBytes }) => storedBytes) };
};

/** What the sampled part says of the rest: raw bytes for each byte of size, stored bytes for each raw one. */
export interface Ratios {
  readonly rawPerSize: number;
  readonly storedPerRaw: number;
}

/** Where nothing was sampled: sizes count as they are, and compression may be anything. */
export const unknownRatios: Ratios = { rawPerSize: 1, storedPerRaw: 0.5 };

/** What was not sampled: by its size and what the others are like. */
export const guessBySize = (
  sizeBytes: number,
  { rawPerSize, storedPerRaw }: Ratios,
): { readonly raw: Estimate; readonly stored: Estimate } => {
  const raw = sizeBytes * rawPerSize;
  const stored = raw * storedPerRaw;
  return { raw: { value: raw, error: raw * blindRelativeError }, stored: { value: stored, error: stored * blindRelativeError } };
};
