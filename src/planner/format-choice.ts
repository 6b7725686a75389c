import type { ColumnType, Relation } from '../catalog/model.js';
import type { RowFormat } from '../core/results.js';
import { binaryGainOf } from './binary-types.js';

export interface FormatChoice {
  readonly format: RowFormat;
  /** Why, in one clause: `column "kind" is pg_catalog.regclass, which binary COPY cannot carry safely`. */
  readonly reason: string;
}

/** What the choice needs of a relation. */
export type FormatSubject = Pick<Relation, 'columns'> & Partial<Pick<Relation, 'heapBytes' | 'toastBytes' | 'estimatedRowCount'>>;

/**
 * COPY's format for a table with these columns. Binary only if every column's type is on the allow-list of `binary-types.ts`; beyond that `binary` and `text` are
 * obeyed, and `auto` adds up what binary gains or loses for each column and takes binary if the sum is above zero.
 */
export const chooseFormat = (subject: FormatSubject, wanted: 'auto' | 'binary' | 'text'): FormatChoice => {
  if (wanted === 'text') return { format: 'text', reason: 'asked for' };
  const { columns } = subject;
  const averageBytes = averageVariableBytes(subject);
  const gains = columns.map(({ name, type }) => ({ name, type, gain: binaryGainOf(type, averageBytes) }));
  const unsafe = gains.find(({ gain }) => gain === null);
  if (unsafe !== undefined)
    return {
      format: 'text',
      reason: `column ${JSON.stringify(unsafe.name)} is ${describe(unsafe.type)}, which binary COPY cannot carry safely`,
    };
  if (wanted === 'binary') return { format: 'binary', reason: 'asked for' };
  const sum = gains.reduce((total, { gain }) => total + (gain ?? 0), 0);
  const towards = gains.filter(({ gain }) => (gain ?? 0) > 0);
  const first = [...towards].sort((a, b) => (b.gain ?? 0) - (a.gain ?? 0))[0];
  if (first === undefined) return { format: 'text', reason: columns.length === 0 ? 'no columns' : 'no column gains from binary' };
  const named = `column ${JSON.stringify(first.name)} (${describe(first.type)})${towards.length === 1 ? '' : ` and ${towards.length - 1} more`}`;
  const verb = towards.length === 1 ? 'gains' : 'gain';
  return sum > 0
    ? { format: 'binary', reason: `${named} ${verb} from binary` }
    : { format: 'text', reason: `${named} would gain from binary, but the others lose as much` };
};

/** Header, line pointer and padding of a row in a page (manual, "Database Page Layout"), and what a column of fixed length takes, about. */
const rowOverheadBytes = 30;
const fixedColumnBytes = 6;

const fixedTypes: ReadonlySet<string> = new Set(
  'bool int2 int4 int8 float4 float8 date time timetz timestamp timestamptz interval uuid oid money char pg_lsn xid8'
    .split(' ')
    .map((name) => `pg_catalog.${name}`),
);

/** Bytes that a row leaves to each of its columns of variable length, by the size of the table and the number of its rows; 0 where nothing is known of it. */
const averageVariableBytes = ({ columns, heapBytes = 0, toastBytes = 0, estimatedRowCount = -1 }: FormatSubject): number => {
  const fixedCount = columns.filter(({ type }) => type.typtype === 'e' || fixedTypes.has(type.qualifiedName)).length;
  if (estimatedRowCount <= 0 || fixedCount === columns.length) return 0;
  const rowBytes = (heapBytes + toastBytes) / estimatedRowCount - rowOverheadBytes - fixedCount * fixedColumnBytes;
  return Math.max(0, rowBytes / (columns.length - fixedCount));
};

const describe = ({ qualifiedName, element, typtype }: ColumnType): string => {
  if (element === null || typtype !== 'b') return qualifiedName;
  return `an array of ${element.qualifiedName}`;
};
