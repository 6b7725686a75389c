import fc from 'fast-check';
import { quoteIdentifier } from '../support/cluster.js';
import { literal, type RandomType, randomText, randomType, randomValue } from './random-values.js';

const prologue = `
CREATE SCHEMA kinds;
CREATE TYPE kinds.mood AS ENUM ('sad', 'it''s ok', '"');
CREATE DOMAIN kinds.positive AS int CHECK (VALUE > 0);
CREATE TYPE kinds.pair AS (a int, b text);
CREATE SCHEMA random;
`;

/** Names of at most 40 bytes, so that a number still fits. */
const name: fc.Arbitrary<string> = fc
  .oneof(
    fc.string({ unit: fc.constantFrom(...'abcXYZ_09 "\'$\\.;-é表(){}\n\t/%&'), minLength: 1, maxLength: 12 }),
    fc.constantFrom('select', 'Order', 'ctid2', 'a"b', "it's", '$1', '..', '-', '\\N', 'ünï'),
  )
  .map((text) => text.trim() || 'x');

interface Column {
  readonly name: string;
  readonly type: RandomType;
  readonly isDropped: boolean;
  readonly isNotNull: boolean;
}

const column: fc.Arbitrary<Column> = fc.record({
  name,
  type: randomType,
  isDropped: fc.boolean().chain((maybe) => (maybe ? fc.boolean() : fc.constant(false))),
  isNotNull: fc.constant(false),
});

type Shape = 'plain' | 'unlogged' | 'range' | 'list' | 'hash' | 'inherited';

/** Statements that make and fill one table, with its number in every name. */
const table = (number: number): fc.Arbitrary<string> =>
  fc
    .record({
      name,
      shape: fc.constantFrom<Shape>('plain', 'plain', 'unlogged', 'range', 'list', 'hash', 'inherited'),
      columns: fc.array(column, { maxLength: 7 }),
      comment: fc.option(randomText.filter((text) => text.length < 1000)),
      isGenerated: fc.boolean(),
      isIndexed: fc.boolean(),
      isKeyed: fc.boolean(),
      // Rows that were deleted keep their room on disk, by which tables are planned.
      deleted: fc.constantFrom('none', 'none', 'some', 'all'),
      fillFactor: fc.option(fc.integer({ min: 10, max: 100 })),
    })
    .chain((spec) => {
      const kept = spec.columns.filter(({ isDropped }) => !isDropped);
      return fc
        .array(fc.tuple(...kept.map(({ type }) => randomValue(type))), { maxLength: 12 })
        .map((rows) => ({ ...spec, kept, rows: rows as readonly (readonly string[])[] }));
    })
    .map((spec) => {
      const toName = (text: string, index: number): string => quoteIdentifier(`${text}${index}`);
      const numbered = new Map(spec.columns.map((each, index) => [each, toName(each.name, index)]));
      const qualified = `random.${toName(spec.name, number)}`;
      const part = (suffix: string): string => `random.${toName(spec.name, number).slice(0, -1)}_${suffix}"`;
      const isTree = ['range', 'list', 'hash'].includes(spec.shape);
      const definitions = [
        'n int',
        ...spec.columns.map((each) => `${numbered.get(each)} ${each.type.name}`),
        ...(spec.isGenerated ? ['generated int GENERATED ALWAYS AS (n * 2) STORED'] : []),
      ];
      const options = spec.fillFactor === null || isTree ? '' : ` WITH (fillfactor = ${spec.fillFactor})`;
      const partitioned = isTree ? ` PARTITION BY ${spec.shape.toUpperCase()} (n)` : '';
      const partitions: Readonly<Record<string, readonly string[]>> = {
        range: ['FOR VALUES FROM (MINVALUE) TO (4)', 'FOR VALUES FROM (4) TO (MAXVALUE)'],
        list: ['FOR VALUES IN (0, 1, 2, 3)', 'DEFAULT'],
        hash: ['FOR VALUES WITH (MODULUS 2, REMAINDER 0)', 'FOR VALUES WITH (MODULUS 2, REMAINDER 1)'],
      };
      const columnList = ['n', ...spec.kept.map((each) => numbered.get(each))].join(', ');
      const ordered = spec.kept.find(({ type }) => type.isOrdered);
      return [
        `CREATE ${spec.shape === 'unlogged' ? 'UNLOGGED ' : ''}TABLE ${qualified} (${definitions.join(', ')})${partitioned}${options};`,
        ...(partitions[spec.shape] ?? []).map(
          (bounds, index) => `CREATE TABLE ${part(String(index))} PARTITION OF ${qualified} ${bounds};`,
        ),
        ...spec.columns.filter(({ isDropped }) => isDropped).map((each) => `ALTER TABLE ${qualified} DROP ${numbered.get(each)};`),
        ...(spec.shape === 'inherited'
          ? [
              `CREATE TABLE ${part('heir')} (own text) INHERITS (${qualified});`,
              `INSERT INTO ${part('heir')} (n, own) VALUES (1, 'own');`,
              `ALTER TABLE ${qualified} ADD late text DEFAULT 'late';`,
            ]
          : []),
        ...spec.rows.map((values, index) => `INSERT INTO ${qualified} (${columnList}) VALUES (${[index, ...values].join(', ')});`),
        ...(spec.deleted === 'none' ? [] : [`DELETE FROM ${qualified} WHERE ${spec.deleted === 'all'} OR n % 3 = 1;`]),
        ...(spec.isIndexed && ordered !== undefined ? [`CREATE INDEX ON ${qualified} (${numbered.get(ordered)} DESC, n);`] : []),
        ...(spec.isKeyed && spec.shape !== 'inherited' ? [`ALTER TABLE ${qualified} ADD PRIMARY KEY (n);`] : []),
        ...(spec.comment === null ? [] : [`COMMENT ON TABLE ${qualified} IS ${literal(spec.comment)};`]),
      ].join('\n');
    });

const sequence = (number: number): fc.Arbitrary<string> =>
  fc
    .record({
      name,
      increment: fc.integer({ min: -5, max: 5 }).filter((step) => step !== 0),
      value: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
      isCalled: fc.boolean(),
    })
    .map(({ name: stem, increment, value, isCalled }) => {
      const qualified = `random.${quoteIdentifier(`${stem}_s${number}`)}`;
      const bounds = `MINVALUE ${-(2n ** 63n)} MAXVALUE ${2n ** 63n - 1n} START ${value}`;
      return `CREATE SEQUENCE ${qualified} INCREMENT ${increment} ${bounds}; SELECT setval(${literal(qualified)}, ${value}, ${isCalled});`;
    });

/** SQL of a whole database: some tables of random shape, columns, names and rows, and sequences. */
export const randomDatabase: fc.Arbitrary<string> = fc
  .tuple(
    fc.tuple(...Array.from({ length: 12 }, (_, index) => table(index))),
    fc.tuple(...Array.from({ length: 4 }, (_, index) => sequence(index))),
  )
  .map(([tables, sequences]) => [prologue, ...tables, ...sequences].join('\n'));
