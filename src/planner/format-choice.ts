import type { Column, ColumnType } from '../catalog/model.js';
import type { RowFormat } from '../core/results.js';
import { binaryGainOf } from './binary-types.js';

export interface FormatChoice {
  readonly format: RowFormat;
  /** Why, in one clause: `column "kind" is pg_catalog.regclass, which binary COPY cannot carry safely`. */
  readonly reason: string;
}

/**
 * COPY's format for a table with these columns. Binary only if every column's type is on the allow-list of `binary-types.ts`; beyond that `binary` and `text` are
 * obeyed, and `auto` adds up what binary gains or loses for each column and takes binary if the sum is above zero.
 */
export const chooseFormat = (columns: readonly Column[], wanted: 'auto' | 'binary' | 'text'): FormatChoice => {
  if (wanted === 'text') return { format: 'text', reason: 'asked for' };
  const gains = columns.map(({ name, type }) => ({ name, type, gain: binaryGainOf(type) }));
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

const describe = ({ qualifiedName, element, typtype }: ColumnType): string => {
  if (element === null || typtype !== 'b') return qualifiedName;
  return `an array of ${element.qualifiedName}`;
};
