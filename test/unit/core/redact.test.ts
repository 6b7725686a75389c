import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRedactor, findSecrets, redactSecrets } from '#src/core/redact.js';

const secret = 's3cr3t-Pa55';

test('passwords of URIs, keyword strings, environments and SQL are masked', () => {
  const texts = [
    `postgres://u:${secret}@h/db`,
    `postgresql://u:${secret}@h1:1,h2:2/db?sslmode=require`,
    `could not connect to "postgres://u:${secret}@h/db": refused`,
    `postgres://u:pa@ss/${secret}@h/db`,
    `postgres://:${secret}@h/db`,
    `postgres://h/db?user=u&password=${secret}&sslmode=require`,
    `host=h password=${secret} dbname=d`,
    `host=h password = '${secret} with \\' quote' dbname=d`,
    `password=a\\ ${secret}`,
    `sslpassword=${secret}`,
    `PGPASSWORD=${secret} psql`,
    `password='${secret}`,
    `ALTER ROLE u PASSWORD '${secret}'`,
    `CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'x', password 'it''s ${secret}')`,
  ];
  for (const text of texts) {
    const masked = redactSecrets(text);
    assert.ok(!masked.includes(secret), masked);
    assert.ok(masked.includes('***'), masked);
  }
});

test('what is no secret stays', () => {
  for (const text of [
    'postgres://u@h:5432/db',
    'host=h port=5432 dbname=d',
    'password authentication failed for user "u"',
    'public.passwords chunk 3/17',
    'mail a@b.c',
  ]) {
    assert.equal(redactSecrets(text), text);
  }
});

test('secrets of a connection are found as written and decoded', () => {
  assert.deepEqual(findSecrets('postgres://u:p%40ss@h/db'), ['p%40ss', 'p@ss']);
  assert.deepEqual(findSecrets(String.raw`host=h password='it\'s'`), [String.raw`it\'s`, "it's"]);
  assert.deepEqual(findSecrets('postgres://h/db?password=abc%21'), ['abc%21', 'abc!']);
  assert.deepEqual(findSecrets('postgres://u:%zz@h/db'), ['%zz']);
  assert.deepEqual(findSecrets('shop'), []);
  assert.deepEqual(findSecrets('postgres://u@h:5432/db'), []);
});

test('known secrets are masked wherever they stand, longest first', () => {
  const redact = createRedactor(['hunter2', 'hunter2-long', 'abc']);
  assert.equal(redact('role hunter2-long and hunter2 and abc'), 'role *** and *** and abc');
});

test('no password of a URI survives, whatever it is', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 4, maxLength: 40 }), (password) => {
      const uri = `postgres://u:${encodeURIComponent(password)}@h/db`;
      const redact = createRedactor(findSecrets(uri));
      assert.equal(redact(`${uri} failed`), 'postgres://u:***@h/db failed');
      // A text of asterisks shows asterisks.
      if (!/^[*: ]+$/.test(password)) assert.ok(!redact(`role "x" used ${password} here`).includes(password));
    }),
  );
});
