import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { rootDir } from '../support/cli.js';

const text = readFileSync(join(rootDir, 'docs/coverage.md'), 'utf8');
const named = [...text.matchAll(/`(test\/[^`]+)`/g)].map(([, path]) => path ?? '');

describe('docs/coverage.md', () => {
  it('names tests that exist', () => {
    assert.ok(named.length > 30);
    assert.deepEqual(
      named.filter((path) => !existsSync(join(rootDir, path))),
      [],
    );
  });

  it('gives a test to every kind', () => {
    const rows = text.split('\n').filter((line) => /^\| (?!-|command|kind|circumstance|`npm)/.test(line));
    assert.ok(rows.length > 30);
    assert.deepEqual(
      rows.filter((row) => !row.includes('`test/')),
      [],
    );
  });

  it('names every file of the corpus', () => {
    const files = readdirSync(join(rootDir, 'test/oracle/corpus')).map((name) => `test/oracle/corpus/${name}`);
    assert.deepEqual(
      files.filter((path) => !named.includes(path)),
      [],
    );
  });
});
