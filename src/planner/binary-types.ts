import type { ColumnType } from '../catalog/model.js';

/**
 * Built-in types whose binary form (`typsend`, `typreceive`) is the same from PostgreSQL 13 to 18 and holds no OID of anything that another database might number
 * differently, each with what a column of it gains (above zero) or loses in binary: measured on PostgreSQL 15 as time of COPY out and in and bytes before and after
 * compression, rounded to halves of the effect of `bytea`. What is not here is copied as text: reg* types (text resolves names, binary would carry dangling OIDs), xml
 * (its declaration depends on the encoding), records (column OIDs), and whatever nobody has judged yet.
 */
const gains: Readonly<Record<string, number>> = {
  // Half the bytes, a tenth to a third of the time: text is hex.
  bytea: 4,
  // A third of the time or less: their text is long to write and slow to parse.
  uuid: 3,
  interval: 3,
  point: 3,
  lseg: 3,
  line: 3,
  box: 3,
  path: 3,
  polygon: 3,
  circle: 3,
  // About half the time, half to three quarters of the bytes.
  timestamp: 2,
  timestamptz: 2,
  time: 2,
  timetz: 2,
  float4: 2,
  float8: 2,
  tsvector: 2,
  tsquery: 2,
  macaddr: 2,
  macaddr8: 2,
  inet: 2,
  cidr: 2,
  bit: 1,
  varbit: 1,
  pg_lsn: 1,
  xid8: 1,
  tid: 1,
  json: 1,
  // jsonb.c sends a version and text: no escaping, a quarter less time.
  jsonb: 1,
  // As much one way as the other.
  int8: 0,
  date: 0,
  // cash.c sends the 64-bit number; only the text depends on lc_monetary.
  money: 0,
  // Four bytes of length before every value outweigh what parsing saves.
  bool: -1,
  int2: -1,
  int4: -1,
  oid: -1,
  xid: -1,
  cid: -1,
  numeric: -1,
  char: -1,
  name: -1,
  text: -1,
  varchar: -1,
  bpchar: -1,
};

/**
 * Types that are characters in both formats. As text each character is examined for escapes, when it is written and when it is parsed; a value's length in bytes that
 * makes up for four bytes of length in front of it, and the most that is counted for one column.
 */
const characterTypes: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'json', 'jsonb']);
const bytesPerGain = 16;
const maxCharacterGain = 8;

/** Arrays and ranges are slow to write and parse as text, whatever they hold; in exchange binary repeats a length for each element. */
const containerGain = 1;

/**
 * What a column of this type gains in binary; null if binary cannot carry it safely. `averageBytes` is the length of its values, 0 where it is not known:
 * it counts for characters, whose text costs time for each of them.
 */
export const binaryGainOf = (type: ColumnType, averageBytes = 0): number | null => {
  const { typtype, element } = type;
  // enum.c sends the label.
  if (typtype === 'e') return -1;
  if (typtype === 'r' || typtype === 'm') return element === null ? null : containerOf(binaryGainOf(element));
  if (typtype !== 'b' || !type.isBuiltIn) return null;
  // array_send carries the element's OID, which is the same everywhere for built-in types alone.
  if (element !== null) return element.isBuiltIn && element.typtype !== 'd' ? containerOf(binaryGainOf(element)) : null;
  const [schema, name] = [type.qualifiedName.slice(0, 'pg_catalog.'.length), type.qualifiedName.slice('pg_catalog.'.length)];
  if (schema !== 'pg_catalog.' || !Object.hasOwn(gains, name)) return null;
  const lengthGain = characterTypes.has(name) ? Math.min(averageBytes / bytesPerGain, maxCharacterGain) : 0;
  return (gains[name] ?? 0) + lengthGain;
};

const containerOf = (gain: number | null): number | null => (gain === null ? null : Math.max(gain, 0) + containerGain);
