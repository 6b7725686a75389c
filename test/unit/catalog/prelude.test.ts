import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { prelude } from '#src/catalog/prelude.js';
import { DbbackupError } from '#src/core/errors.js';

describe('prelude', () => {
  it('empties the search path before anything else and ends with the encoding', () => {
    const statements = prelude('LATIN1');
    assert.equal(statements[0], "SELECT pg_catalog.set_config('search_path', '', false)");
    assert.equal(statements.at(-1), "SET client_encoding TO 'LATIN1'");
  });

  it('refuses what is no encoding', () => {
    assert.throws(
      () => prelude("UTF8'; DROP TABLE t; --"),
      (error) => error instanceof DbbackupError && error.code === 'internal',
    );
  });
});
