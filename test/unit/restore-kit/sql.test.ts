import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { toKitFiles } from '#src/restore-kit/restore-kit.js';
import { Quoting } from '#src/restore-kit/sql.js';
import { withDatabase } from '../../support/database.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { sampleManifest } from '../manifest/sample.js';

const names = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).map((text) => text.replaceAll('\0', '0'));

describe('SQL of the restore kit', () => {
  it('quotes plainly what is plain, and writes the rest by code points', () => {
    const quoting = new Quoting('UTF8');
    assert.equal(quoting.identifier('orders_2'), '"orders_2"');
    assert.equal(quoting.identifier('a"b\\q\n:c'), 'U&"a\\0022b\\005Cq\\000A\\003Ac"');
    assert.equal(quoting.identifier('é😀'), 'U&"\\00E9\\+01F600"');
    assert.equal(quoting.literal("it's"), "U&'it\\0027s'");
    assert.equal(new Quoting('SQL_ASCII').identifier('é"'), 'U&"é\\0022"');
  });

  it('leaves nothing for psql, a shell or an editor to interpret', () => {
    const quoting = new Quoting('LATIN1');
    fc.assert(
      fc.property(names, (name) => assert.match(quoting.identifier(name), /^(U&)?"([A-Za-z0-9_ ]|\\[0-9A-F]{4}|\\\+[0-9A-F]{6})*"$/)),
    );
  });

  it('means to PostgreSQL exactly the name it was given', async () => {
    const cluster = await sharedCluster();
    const quoting = new Quoting('UTF8');
    const samples = fc.sample(names, { numRuns: 150, seed: 1 }).filter((name) => Buffer.byteLength(name) < 64);
    await withDatabase(cluster, async (database) => {
      const sql = `SET standard_conforming_strings TO on;\n${samples
        .map(
          (name) =>
            `SELECT encode(convert_to(${quoting.literal(name)}, 'UTF8'), 'hex'), encode(convert_to(json_object_keys(row_to_json(the_only_row)), 'UTF8'), 'hex') FROM (SELECT 1 AS ${quoting.identifier(name)}) the_only_row;`,
        )
        .join('\n')}`;
      const hex = samples.map((name) => Buffer.from(name).toString('hex'));
      assert.equal(await cluster.psql(database, sql), hex.map((text) => `${text}|${text}`).join('\n'));
    });
  });

  it('addresses each statement by its byte range, largest segments first', () => {
    const files = toKitFiles(sampleManifest());
    const statements = Buffer.from(files.get('restore/0001/statements.sql') ?? '');
    const lines = (files.get('restore/0001/segments.tsv') ?? '')
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
    assert.deepEqual(
      lines.map(([path, offset, storedBytes, codec, , , rowCount]) => [path, offset, storedBytes, codec, rowCount]),
      [
        ['data/t000001-a1-p002.zst', '0', '40', 'zstd', '4'],
        ['data/t000001-a1-p001.zst', '0', '30', 'zstd', '3'],
        ['data/t000002-a1-p001.zst', '10', '20', 'zstd', '2'],
        ['data/t000002-a1-p001.zst', '0', '10', 'zstd', '1'],
      ],
    );
    const toStatement = (fields: readonly string[]): string =>
      statements.toString('utf8', Number(fields[4]), Number(fields[4]) + Number(fields[5]));
    assert.deepEqual(lines.map(toStatement), [
      'COPY "public"."big" ("id") FROM STDIN (FORMAT binary);\n',
      'COPY "public"."big" ("id") FROM STDIN (FORMAT binary);\n',
      'COPY "public".U&"\\0022\\003B \\0024\\0028touch x\\0029" ("id") FROM STDIN (FORMAT binary);\n',
      'COPY "public"."orders" ("id") FROM STDIN (FORMAT binary);\n',
    ]);
  });
});
