import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { introspect } from '#src/catalog/introspect.js';
import { prelude } from '#src/catalog/prelude.js';
import { chooseFormat } from '#src/planner/format-choice.js';
import { uniqueDatabaseName, withDatabase } from '../../support/database.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { connectionTo, withSession } from '../native/connections.js';

/** Every kind of type that may be copied in binary, with a value that is easily spoilt. */
const values: readonly (readonly [type: string, value: string])[] = [
  ['bool', 'true'],
  ['int2', '-1'],
  ['int4', '2'],
  ['int8', '-9223372036854775808'],
  ['float4', '1.5e-30'],
  ['float8', 'Infinity'],
  ['numeric', '-123456789012345678901234567890.00012300'],
  ['money', '-12.34'],
  ['text', 'é\\n'],
  ['varchar(20)', ' x '],
  ['char(8)', 'ab'],
  ['"char"', 'z'],
  ['name', 'nm'],
  ['bytea', '\\x00ff'],
  ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['date', 'infinity'],
  ['time', '24:00:00'],
  ['timetz', '12:34:56.789+05:30'],
  ['timestamp', '4713-01-01 00:00:00 BC'],
  ['timestamptz', '2026-01-01 12:00:00.000001+03'],
  ['interval', '-1 years 2 mons -3 days +04:05:06.7'],
  ['json', '{"a" : 1,  "b":[]}'],
  ['jsonb', '{"b":1,"a":[null,1.10]}'],
  ['inet', '10.1.2.3/8'],
  ['cidr', '::ffff:1.2.3.0/120'],
  ['macaddr', '08:00:2b:01:02:03'],
  ['macaddr8', '08:00:2b:01:02:03:04:05'],
  ['bit(11)', '10101010101'],
  ['varbit', '1'],
  ['point', '(1,2)'],
  ['line', '{1,2,3}'],
  ['lseg', '[(1,2),(3,4)]'],
  ['box', '(1,2),(3,4)'],
  ['path', '[(1,2),(3,4)]'],
  ['polygon', '((1,2),(3,4),(5,6))'],
  ['circle', '<(1,2),3>'],
  ['tsvector', "'a':1A,3B 'b''c' 'z':2"],
  ['tsquery', "'a':A & !('b' <-> 'c':*)"],
  ['pg_lsn', '1/ABCDEF'],
  ['oid', '4294967295'],
  ['xid', '5'],
  ['xid8', '18446744073709551615'],
  ['cid', '7'],
  ['tid', '(4294967295,65535)'],
  ['int8[]', '{1,NULL,3}'],
  ['text[]', '{a,"b,c",NULL,é}'],
  ['numeric[]', '{{1.10},{NaN}}'],
  ['int2vector', '1 2 3'],
  ['tstzrange', '[2026-01-01,)'],
  ['int4range[]', '{"[1,5)",empty}'],
  ['public.mood', "it's ok"],
  ['public.span', '(1.5,]'],
  ['public.moods', '[sad,"it\'s ok"]'],
  ['public.positive', '3'],
  ['public.list', '{1,2}'],
];

/** A database in which types have OIDs of their own. */
const createTable = (offset: number): string => `
${Array.from({ length: offset }, (_, index) => `CREATE TABLE filler_${index} ();`).join('\n')}
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TYPE moods AS RANGE (subtype = mood);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN list AS int[];
CREATE TABLE t (${values.map(([type], index) => `c${index} ${type}`).join(', ')});`;

describe('types on the allow-list', () => {
  it('come back from binary COPY as they were, in a database where types have other OIDs', async () => {
    const cluster = await sharedCluster();
    // The server writes and reads the file.
    const path = join(cluster.host, uniqueDatabaseName('types'));
    await withDatabase(cluster, (source) =>
      withDatabase(cluster, async (target) => {
        await cluster.psql(source, createTable(0));
        await cluster.psql(target, createTable(7));
        await withSession(connectionTo(cluster, source), async (session) => {
          for (const sql of prelude('UTF8')) await session.query(sql);
          const parameters = values.map(([type], index) => `$${index + 1}::${type}`);
          await session.query(
            `INSERT INTO public.t VALUES (${parameters.join(', ')})`,
            values.map(([, value]) => value),
          );
          await session.query('INSERT INTO public.t DEFAULT VALUES');
          await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
          const [table] = (await introspect(session)).relations;
          assert.deepEqual(chooseFormat({ columns: table?.columns ?? [] }, 'binary'), { format: 'binary', reason: 'asked for' });
          assert.equal(table?.columns.length, values.length);
        });
        await cluster.psql(source, `COPY t TO '${path}' (FORMAT binary)`);
        await cluster.psql(target, `COPY t FROM '${path}' (FORMAT binary); COPY (SELECT) TO PROGRAM 'rm ${path}'`);
        const asText = 'SELECT * FROM t';
        assert.equal(await cluster.psql(target, asText), await cluster.psql(source, asText));
        assert.equal(await cluster.psql(target, 'SELECT count(*), count(c0) FROM t'), '2|1');
      }),
    );
  });
});
