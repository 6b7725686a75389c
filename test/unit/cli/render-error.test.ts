import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatError } from '#src/cli/render-error.js';
import { toStyle } from '#src/cli/style.js';
import { DbbackupError } from '#src/core/errors.js';
import { createRedactor } from '#src/core/redact.js';
import { recordStream } from './support.js';

const style = toStyle(recordStream(), {});
const redact = createRedactor(['hunter2']);

test('one line, the code, what is known, and advice last', () => {
  const error = new DbbackupError('permission_denied', 'public.orders cannot be read', {
    details: { object: 'public.orders', sqlstate: '42501', detail: 'two\nlines', schema: 'public', table: 'orders' },
  });
  assert.equal(
    formatError(error, style, false, redact),
    `dbbackup: error: public.orders cannot be read
  code: permission_denied
  detail: two
    lines
  sqlstate: 42501
  schema: public
  table: orders
  hint: Grant it, for example: GRANT pg_read_all_data TO <role>.
`,
  );
});

test('an object the message does not name has a line of its own; an error’s own hint wins', () => {
  const text = formatError(
    new DbbackupError('io_error', 'cannot read', { details: { object: 'data/x.zst', path: '/b/data/x.zst', hint: 'Do this.' } }),
    style,
    false,
    redact,
  );
  assert.match(text, /\n {2}object: data\/x\.zst\n {2}path: \/b\/data\/x\.zst\n {2}hint: Do this\.\n$/);
});

test('secrets and control characters never show; causes and stacks only with --verbose', () => {
  const cause = new Error('inner hunter2', { cause: 'postgres://u:other@h/db' });
  const error = new DbbackupError('connection_failed', 'cannot reach postgres://u:hunter2@h/db\u001b[2J', {
    cause,
    details: { detail: 'password=x hunter2', later: [new Error('also hunter2')] },
  });
  const brief = formatError(error, style, false, redact);
  const verbose = formatError(error, style, true, redact);
  for (const text of [brief, verbose]) {
    assert.doesNotMatch(text, /hunter2|other@|\u001b/);
    assert.match(text, /cannot reach postgres:\/\/u:\*\*\*@h\/db\\x1b\[2J/);
  }
  assert.doesNotMatch(brief, /inner|stack/);
  assert.match(verbose, / {2}later: also \*\*\*\n {2}cause: inner \*\*\*\n {2}cause: postgres:\/\/u:\*\*\*@h\/db\n {2}stack: /);
});

test('a circle of causes ends', () => {
  const a = new Error('a');
  const error = new DbbackupError('internal', 'round', { cause: a });
  a.cause = a;
  assert.ok(formatError(error, style, true, redact).length < 5000);
});
