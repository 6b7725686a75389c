import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Column } from '#src/catalog/model.js';
import { chooseFormat } from '#src/planner/format-choice.js';
import { builtIn, column, ownType } from './fixtures.js';

const array = (element: Column['type'], isBuiltIn = true): Column['type'] =>
  isBuiltIn
    ? builtIn(`_${element.qualifiedName.split('.')[1]}`, { element })
    : ownType(`_${element.qualifiedName.split('.')[1]}`, { element });

const safe: readonly Column['type'][] = [
  ...[
    'bool',
    'int2',
    'int4',
    'int8',
    'float4',
    'float8',
    'numeric',
    'money',
    'text',
    'varchar',
    'bpchar',
    'char',
    'name',
    'bytea',
    'uuid',
  ].map((name) => builtIn(name)),
  ...['date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'json', 'jsonb', 'inet', 'cidr', 'macaddr', 'macaddr8'].map(
    (name) => builtIn(name),
  ),
  ...[
    'bit',
    'varbit',
    'point',
    'line',
    'lseg',
    'box',
    'path',
    'polygon',
    'circle',
    'tsvector',
    'tsquery',
    'pg_lsn',
    'oid',
    'xid',
    'xid8',
    'cid',
    'tid',
  ].map((name) => builtIn(name)),
  array(builtIn('int8')),
  array(builtIn('tstzrange', { typtype: 'r', element: builtIn('timestamptz') })),
  ownType('mood', { typtype: 'e' }),
  ownType('float_range', { typtype: 'r', element: builtIn('float8') }),
  ownType('float_multirange', { typtype: 'm', element: builtIn('float8') }),
  ownType('mood_range', { typtype: 'r', element: ownType('mood', { typtype: 'e' }) }),
];

const unsafe: readonly Column['type'][] = [
  ...[
    'regclass',
    'regproc',
    'regprocedure',
    'regoper',
    'regtype',
    'regrole',
    'regnamespace',
    'regconfig',
    'xml',
    'aclitem',
    'pg_node_tree',
  ].map((name) => builtIn(name)),
  builtIn('pg_class', { typtype: 'c' }),
  builtIn('anyarray', { typtype: 'p' }),
  ownType('pair', { typtype: 'c' }),
  ownType('hstore'),
  // Named as a built-in one, but somebody else's.
  { ...builtIn('text'), isBuiltIn: false, oid: 16999 },
  ownType('text'),
  array(ownType('mood', { typtype: 'e' }), false),
  array(ownType('positive', { typtype: 'd' }), false),
  array(ownType('pair', { typtype: 'c' }), false),
  array(builtIn('regclass')),
  ownType('float_range[]', { element: ownType('float_range', { typtype: 'r', element: builtIn('float8') }) }),
  ownType('pair_range', { typtype: 'r', element: ownType('pair', { typtype: 'c' }) }),
  ownType('pair_range', { typtype: 'm', element: null }),
];

describe('chooseFormat', () => {
  it('takes binary for every type on the list when asked to', () => {
    for (const type of safe)
      assert.deepEqual(
        chooseFormat({ columns: [column('c', type)] }, 'binary'),
        { format: 'binary', reason: 'asked for' },
        type.qualifiedName,
      );
  });

  it('never takes binary for any other type, and names the column', () => {
    for (const type of unsafe) {
      for (const wanted of ['binary', 'auto'] as const) {
        const { format, reason } = chooseFormat({ columns: [column('payload', builtIn('bytea')), column('odd\n"name', type)] }, wanted);
        assert.equal(format, 'text', type.qualifiedName);
        assert.match(
          reason,
          /^column "odd\\n\\"name" is (?:an array of )?(?:public|pg_catalog)\.\S+, which binary COPY cannot carry safely$/,
        );
      }
    }
    assert.equal(
      chooseFormat({ columns: [column('kind', builtIn('regclass'))] }, 'auto').reason,
      'column "kind" is pg_catalog.regclass, which binary COPY cannot carry safely',
    );
  });

  it('takes text whenever asked to', () => {
    for (const type of [...safe, ...unsafe])
      assert.deepEqual(chooseFormat({ columns: [column('c', type)] }, 'text'), { format: 'text', reason: 'asked for' });
  });

  it('weighs columns', () => {
    const choose = (...names: readonly string[]): string => {
      const { format, reason } = chooseFormat({ columns: names.map((name, index) => column(`c${index}`, builtIn(name))) }, 'auto');
      return `${format}: ${reason}`;
    };
    assert.equal(choose('int8', 'bytea'), 'binary: column "c1" (pg_catalog.bytea) gains from binary');
    assert.equal(choose('int8', 'timestamptz', 'uuid'), 'binary: column "c2" (pg_catalog.uuid) and 1 more gain from binary');
    assert.equal(choose('int4', 'text', 'varchar'), 'text: no column gains from binary');
    assert.equal(
      choose('timestamptz', 'text', 'text', 'int4'),
      'text: column "c0" (pg_catalog.timestamptz) would gain from binary, but the others lose as much',
    );
    assert.equal(choose(), 'text: no columns');
    assert.equal(
      chooseFormat({ columns: [column('ids', array(builtIn('int8')))] }, 'auto').reason,
      'column "ids" (an array of pg_catalog.int8) gains from binary',
    );
  });

  it('takes binary for text that is long by the size of the table', () => {
    const choose = (heapBytes: number, toastBytes: number, estimatedRowCount: number): string => {
      const columns = [column('id', builtIn('int4')), column('day', builtIn('date')), column('body', builtIn('text'))];
      return chooseFormat({ columns, heapBytes, toastBytes, estimatedRowCount }, 'auto').format;
    };
    assert.equal(choose(60_000, 0, 1000), 'text', 'about 18 bytes of text in a row');
    assert.equal(choose(100_000, 0, 1000), 'binary', 'about 58 bytes');
    assert.equal(choose(60_000, 1_000_000, 1000), 'binary', 'most of it in the TOAST table');
    assert.equal(choose(100_000, 0, -1), 'text', 'never analysed');
    assert.equal(choose(0, 0, 0), 'text', 'empty');
  });
});
