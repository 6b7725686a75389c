import fc from 'fast-check';

/** A type as it stands in CREATE TABLE, and expressions of that type. */
export interface RandomType {
  readonly name: string;
  readonly value: fc.Arbitrary<string>;
  /** True where a b-tree index can be built on it. */
  readonly isOrdered: boolean;
}

/** `text` as an SQL literal, whatever it holds but NUL, which no text of the server can. */
export const literal = (text: string): string => ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

/** Text with everything that formats of rows give a meaning to. */
export const randomText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.replaceAll('\0', '').replace(/[\uD800-\uDFFF]/gu, '')),
  fc.string({
    unit: fc.constantFrom(
      '\\',
      '.',
      'N',
      '\n',
      '\r',
      '\t',
      '\b',
      '\v',
      '\f',
      '"',
      "'",
      ',',
      '{',
      '}',
      '(',
      ')',
      ' ',
      '',
      '\x7f',
      'é',
      '表',
      '🐘',
    ),
    maxLength: 12,
  }),
  fc.constantFrom('', '\\.', '\\N', 'NULL', 'null', ' ', '\\\\.', '\n\\.\n'),
  fc.integer({ min: 1000, max: 200_000 }).map((length) => 'long \\ text\n'.repeat(length / 12)),
);

const cast = (value: fc.Arbitrary<string>, type: string): fc.Arbitrary<string> => value.map((text) => `${literal(text)}::${type}`);
const oneOf = (...texts: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...texts);
const bigInteger = (bits: number): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n }),
      fc.constantFrom(-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n),
    )
    .map(String);
const digits = (min: number, max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: min, maxLength: max });
const numeric = fc.oneof(
  oneOf('NaN', '0', '-0.00', '1e1000', '1e-1000'),
  fc.tuple(fc.constantFrom('', '-'), digits(1, 300), digits(0, 300)).map(([sign, whole, part]) => `${sign}${whole}.${part}`),
);
const double = fc.oneof(oneOf('NaN', 'Infinity', '-Infinity', '-0'), fc.double({ noNaN: true, noDefaultInfinity: true }).map(String));
const date = fc.oneof(
  oneOf('infinity', '-infinity', '4714-11-24 BC', '5874897-12-31'),
  fc.integer({ min: -2_451_507, max: 100_000_000 }).map((days) => `J${days + 2_451_545}`),
);
const timestamp = fc.oneof(
  oneOf('infinity', '-infinity', '4714-11-24 BC', '294276-12-31 23:59:59.999999'),
  fc
    .date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-01-01T00:00:00Z'), noInvalidDate: true })
    .map((value) => value.toISOString()),
);
const interval = fc
  .tuple(fc.integer({ min: -100_000, max: 100_000 }), fc.integer({ min: -100_000, max: 100_000 }), fc.integer())
  .map(([months, days, micros]) => `${months} mons ${days} days ${micros} microseconds`);
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((value) => `'\\x${Buffer.from(value).toString('hex')}'::bytea`),
  fc.integer({ min: 1, max: 60_000 }).map((length) => `decode(repeat('00ff5c', ${length}), 'hex')`),
);
const json = fc.jsonValue({ maxDepth: 6 }).map((value) =>
  JSON.stringify(value)
    .replaceAll('\\u0000', '\\u0001')
    .replace(/\\ud[89a-f][0-9a-f]{2}/gi, ''),
);

const scalarTypes: readonly RandomType[] = [
  { name: 'smallint', value: cast(bigInteger(16), 'smallint'), isOrdered: true },
  { name: 'int', value: cast(bigInteger(32), 'int'), isOrdered: true },
  { name: 'bigint', value: cast(bigInteger(64), 'bigint'), isOrdered: true },
  { name: 'numeric', value: cast(numeric, 'numeric'), isOrdered: true },
  { name: 'real', value: cast(oneOf('NaN', 'Infinity', '-0', '1e-45', '3.4028235e38', '0.1'), 'real'), isOrdered: true },
  { name: 'float8', value: cast(double, 'float8'), isOrdered: true },
  { name: 'boolean', value: oneOf('true', 'false'), isOrdered: true },
  { name: 'text', value: randomText.map(literal), isOrdered: false },
  { name: 'varchar(300000)', value: randomText.map(literal), isOrdered: false },
  { name: 'char(20)', value: cast(fc.string({ unit: 'grapheme-ascii', maxLength: 20 }), 'char(20)'), isOrdered: true },
  { name: 'bytea', value: bytes, isOrdered: false },
  { name: 'date', value: cast(date, 'date'), isOrdered: true },
  { name: 'time', value: cast(oneOf('00:00', '24:00', '23:59:59.999999', '12:34:56.7'), 'time'), isOrdered: true },
  { name: 'timetz', value: cast(oneOf('00:00+15:59', '24:00-15:59', '12:34:56.789+05:45'), 'timetz'), isOrdered: true },
  { name: 'timestamp', value: cast(timestamp, 'timestamp'), isOrdered: true },
  { name: 'timestamptz', value: cast(timestamp, 'timestamptz'), isOrdered: true },
  { name: 'interval', value: cast(interval, 'interval'), isOrdered: true },
  { name: 'uuid', value: cast(fc.uuid(), 'uuid'), isOrdered: true },
  { name: 'json', value: cast(json, 'json'), isOrdered: false },
  { name: 'jsonb', value: cast(json, 'jsonb'), isOrdered: false },
  { name: 'inet', value: cast(fc.oneof(fc.ipV4(), fc.ipV6()), 'inet'), isOrdered: true },
  {
    name: 'bit varying',
    value: fc.string({ unit: fc.constantFrom('0', '1'), maxLength: 70 }).map((bits) => `B'${bits}'`),
    isOrdered: true,
  },
  {
    name: 'point',
    value: fc.tuple(double, double).map(([x, y]) => `point(${literal(x)}::float8, ${literal(y)}::float8)`),
    isOrdered: false,
  },
  { name: 'int4range', value: cast(oneOf('empty', '(,)', '[1,5)', '(,0]', '[2147483647,)'), 'int4range'), isOrdered: true },
  { name: 'tstzrange', value: cast(oneOf('empty', '[-infinity,infinity]', '[2026-01-01 00:00+00,)'), 'tstzrange'), isOrdered: true },
  { name: 'regclass', value: cast(oneOf('pg_catalog.pg_class', 'pg_catalog.pg_type'), 'regclass'), isOrdered: true },
  { name: 'tsvector', value: cast(oneOf('', "a:1A 'b c':2,3", "'\\\\'"), 'tsvector'), isOrdered: false },
  { name: 'xml', value: cast(oneOf('', '<a>é</a>', '<a b="&lt;"/>'), 'xml'), isOrdered: false },
  // Of the schema that random-schema.ts makes.
  { name: 'kinds.mood', value: cast(oneOf('sad', "it's ok", '"'), 'kinds.mood'), isOrdered: true },
  { name: 'kinds.positive', value: cast(fc.integer({ min: 1, max: 1000 }).map(String), 'kinds.positive'), isOrdered: true },
  {
    name: 'kinds.pair',
    value: fc.tuple(bigInteger(32), fc.option(randomText)).map(([a, b]) => `ROW(${a}, ${b === null ? 'NULL' : literal(b)})::kinds.pair`),
    isOrdered: false,
  },
];

const orNull = (value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 4, arbitrary: value }, { weight: 1, arbitrary: fc.constant('NULL') });

const toArrayType = ({ name, value }: RandomType): RandomType => ({
  name: `${name}[]`,
  value: fc.array(orNull(value), { maxLength: 4 }).map((items) => `ARRAY[${items.join(', ')}]::${name}[]`),
  isOrdered: false,
});

/** Any type, and arrays of them. */
export const randomType: fc.Arbitrary<RandomType> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...scalarTypes) },
  { weight: 1, arbitrary: fc.constantFrom(...scalarTypes.map(toArrayType)) },
);

/** An expression of a type, or NULL. */
export const randomValue = (type: RandomType): fc.Arbitrary<string> => orNull(type.value);
