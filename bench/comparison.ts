import { formatMegabytes, formatRate, formatRatio, formatSeconds } from './format.js';
import type { Spread } from './statistics.js';

/** What one tool needed for one job. */
export interface Performance {
  readonly tool: string;
  /** The median where there were several runs; then `spread` is shown beside it. */
  readonly seconds: number;
  readonly spread?: Spread;
  /** Null where the job stores nothing. */
  readonly storedBytes: number | null;
  /** All processes of the tool together. */
  readonly peakBytes: number;
}

export type Row = readonly string[] | null;

/** Head of a table whose first two columns are aligned left. */
export const comparisonHeader: readonly Row[] = [['', '', 'seconds', 'MB/s', 'stored', 'peak memory'], null];

const formatSpread = ({ min, max }: Spread): string => `(${min.toFixed(2)}–${max.toFixed(2)})`;

/** One line of the table. `rawBytes` is the work done, the same for all tools. */
export const toRow = (title: string, rawBytes: number, { tool, seconds, spread, storedBytes, peakBytes }: Performance): Row => [
  title,
  tool,
  spread === undefined ? formatSeconds(seconds) : `${formatSeconds(seconds)} ${formatSpread(spread)}`,
  formatRate(rawBytes, seconds),
  storedBytes === null ? '' : formatMegabytes(storedBytes),
  formatMegabytes(peakBytes),
];

/** Three lines: ours, theirs, and ours divided by theirs. */
export const compare = (title: string, rawBytes: number, ours: Performance, theirs: Performance): readonly Row[] => [
  toRow(title, rawBytes, ours),
  toRow('', rawBytes, theirs),
  [
    '',
    'ratio',
    formatRatio(ours.seconds / theirs.seconds),
    formatRatio(theirs.seconds / ours.seconds),
    ours.storedBytes === null || theirs.storedBytes === null ? '' : formatRatio(ours.storedBytes / theirs.storedBytes),
    formatRatio(ours.peakBytes / theirs.peakBytes),
  ],
];
