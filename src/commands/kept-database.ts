import { databaseQuery } from '../catalog/queries.js';
import { queryRow, toText } from '../catalog/rows.js';
import type { ManifestDatabase } from '../manifest/schema.js';
import type { Session } from '../native/session.js';

/**
 * How a database that is filled as it is differs from the one that was backed up, in what only `CREATE DATABASE` decides: none of it loses a value, and all of it may
 * change how text is sorted, compared or read by others. `session` is connected to it.
 */
export const compareKept = async (session: Session, source: ManifestDatabase): Promise<readonly string[]> => {
  const row = await queryRow(session, databaseQuery(session.info().serverVersion));
  const pairs: readonly (readonly [string, string | null, string | null])[] = [
    ['encoding', source.encoding, toText(row, 2)],
    ['collation', source.collate, toText(row, 3)],
    ['character classification', source.ctype, toText(row, 4)],
    ['locale provider', toProvider(source.localeProvider), toProvider(toText(row, 5))],
    ['ICU or builtin locale', source.icuLocale, row[6] ?? null],
    ['ICU rules', source.icuRules, row[7] ?? null],
    ['tablespace', source.tablespace, toText(row, 8)],
  ];
  return pairs
    .filter(([, wanted, found]) => wanted !== found)
    .map(
      ([what, wanted, found]) =>
        `database ${JSON.stringify(source.name)} exists and keeps its ${what}: ${describe(found)}, in the backup ${describe(wanted)}`,
    );
};

const providers: Readonly<Record<string, string>> = { b: 'builtin', c: 'libc', i: 'icu' };
const toProvider = (letter: string): string => providers[letter] ?? letter;

const describe = (value: string | null): string => (value === null ? 'none' : JSON.stringify(value));
