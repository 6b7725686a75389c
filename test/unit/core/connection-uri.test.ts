import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConnectionUri } from '#src/core/connection-uri.js';
import { DbbackupError } from '#src/core/errors.js';

test('good URIs, names and keyword strings pass', () => {
  const good = [
    'shop',
    'host=h password=p@ss',
    'postgres://',
    'postgres:///db',
    'postgres://h/db',
    'postgresql://u@h:5432/db',
    'postgres://u:p%40s%2Fs@h/db?sslmode=require',
    'postgres://u:pa?ss#x@h/db',
    'postgres://u:p@[::1]:5432/db',
    'postgres://u:p@h1:1,h2:2,h3/db',
    'postgres://%2Fvar%2Frun%2Fpostgresql/db?application_name=a@b',
    'postgres://h?dbname=x',
  ];
  for (const uri of good) assert.doesNotThrow(() => checkConnectionUri(uri), uri);
});

test('a URI whose password would be read as a host or port is refused without a word of it', () => {
  for (const uri of [
    'postgres://u:secret@secret@h/db',
    'postgres://u:secret/secret@h/db',
    'postgres://u:12/secret@h/db',
    'postgres://u:secret',
    'postgresql://u:p@secret:secret@h',
  ]) {
    assert.throws(
      () => checkConnectionUri(uri),
      (error: unknown) => error instanceof DbbackupError && error.code === 'usage' && !`${error.message}${error.hint}`.includes('secret'),
      uri,
    );
  }
});
