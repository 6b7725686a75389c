import assert from 'node:assert/strict';
import { test } from 'node:test';
import { throwIfCancelled, toCancelled } from '#src/core/abort.js';

test('an aborted signal throws cancelled with the reason as cause; others let pass', () => {
  throwIfCancelled(undefined);
  throwIfCancelled(new AbortController().signal);
  const reason = new Error('enough');
  assert.throws(() => throwIfCancelled(AbortSignal.abort(reason)), { code: 'cancelled', cause: reason });
  assert.equal(toCancelled(AbortSignal.abort(reason)).exitStatus, 130);
});
