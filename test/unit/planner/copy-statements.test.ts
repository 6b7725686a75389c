import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DbbackupError } from '#src/core/errors.js';
import { toCopyOut } from '#src/planner/copy-statements.js';
import { builtIn, makeRelation } from './fixtures.js';

const whole = { beginBlock: null, endBlock: null };
const type = builtIn('text');

describe('toCopyOut', () => {
  it('copies a whole table by its name', () => {
    const relation = makeRelation({
      quotedName: 'public.t',
      fileNode: 4711,
      columns: [
        { name: 'a', quotedName: 'a', type },
        { name: 'B', quotedName: '"B"', type },
      ],
    });
    assert.deepEqual(toCopyOut(relation, 'binary', whole, 'UTF8'), {
      lockSql: 'LOCK TABLE ONLY public.t IN ACCESS SHARE MODE NOWAIT',
      checkSql: "SELECT pg_catalog.pg_relation_filenode(pg_catalog.to_regclass('public.t'))",
      checkExpected: '4711',
      copySql: 'COPY public.t (a, "B") TO STDOUT (FORMAT binary)',
    });
  });

  it('copies ranges of blocks by a query, 32-bit limits included', () => {
    const relation = makeRelation({ quotedName: 'public.t' });
    const copy = (beginBlock: number | null, endBlock: number | null): string =>
      toCopyOut(relation, 'text', { beginBlock, endBlock }, 'UTF8').copySql;
    assert.equal(
      copy(0, 4294967295),
      "COPY (SELECT id FROM ONLY public.t WHERE ctid >= '(0,0)'::pg_catalog.tid AND ctid < '(4294967295,0)'::pg_catalog.tid) TO STDOUT (FORMAT text)",
    );
    assert.equal(copy(100, null), "COPY (SELECT id FROM ONLY public.t WHERE ctid >= '(100,0)'::pg_catalog.tid) TO STDOUT (FORMAT text)");
  });

  it('obeys an extension’s condition, and reads no ranges under one', () => {
    const relation = makeRelation({ quotedName: 'ext.config', condition: 'WHERE NOT is_shipped' });
    assert.equal(
      toCopyOut(relation, 'text', whole, 'UTF8').copySql,
      'COPY (SELECT id FROM ONLY ext.config WHERE NOT is_shipped) TO STDOUT (FORMAT text)',
    );
    assert.equal(toCopyOut({ ...relation, condition: '' }, 'text', whole, 'UTF8').copySql, 'COPY ext.config (id) TO STDOUT (FORMAT text)');
    assert.throws(
      () => toCopyOut(relation, 'text', { beginBlock: 0, endBlock: 1 }, 'UTF8'),
      (error) => error instanceof DbbackupError && error.code === 'internal',
    );
  });

  it('leaves the list out where there are no columns', () => {
    const relation = makeRelation({ quotedName: 'public.t', columns: [] });
    assert.equal(toCopyOut(relation, 'text', whole, 'UTF8').copySql, 'COPY public.t TO STDOUT (FORMAT text)');
    assert.match(
      toCopyOut(relation, 'text', { beginBlock: 0, endBlock: null }, 'UTF8').copySql,
      /^COPY \(SELECT {2}FROM ONLY public\.t WHERE/,
    );
  });

  it('pastes evil names as they were quoted', () => {
    const quotedName = `public."a ""; $(touch x) ' \n"`;
    const statements = toCopyOut(makeRelation({ quotedName }), 'text', whole, 'UTF8');
    assert.ok(statements.lockSql.includes(` ${quotedName} `));
    assert.ok(statements.checkSql.includes(`'public."a ""; $(touch x) '' \n"'`));
  });

  it('is ASCII where the server would take UTF-8 for something else', () => {
    const relation = makeRelation({
      quotedName: '"Größe"."a\\b"',
      columns: [
        { name: 'é', quotedName: '"é"', type },
        { name: 'x', quotedName: 'x', type },
      ],
    });
    const { lockSql, checkSql, copySql } = toCopyOut(relation, 'text', whole, 'LATIN1');
    assert.equal(lockSql, 'LOCK TABLE ONLY U&"Gr\\00f6\\00dfe"."a\\b" IN ACCESS SHARE MODE NOWAIT');
    assert.equal(checkSql, `SELECT pg_catalog.pg_relation_filenode(pg_catalog.to_regclass(U&'"Gr\\00f6\\00dfe"."a\\\\b"'))`);
    assert.equal(copySql, 'COPY U&"Gr\\00f6\\00dfe"."a\\b" (U&"\\00e9", x) TO STDOUT (FORMAT text)');
    assert.ok(toCopyOut(relation, 'text', whole, 'SQL_ASCII').copySql.includes('"Größe"'));
  });
});
