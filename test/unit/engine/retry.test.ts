import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ErrorCode } from '#src/core/error-codes.js';
import { DbbackupError } from '#src/core/errors.js';
import { retryRules, toDelayMs, toRetryClass } from '#src/engine/retry.js';

const error = (code: ErrorCode, sqlstate?: string, message = 'no'): DbbackupError =>
  new DbbackupError(code, message, { details: sqlstate === undefined ? {} : { sqlstate } });

describe('the class of a failed task', () => {
  it('follows the SQLSTATE, and the code where the server was not heard', () => {
    for (const [failure, expected] of [
      [error('connection_lost'), 'connection'],
      [error('connection_lost', '57P01'), 'connection'],
      [error('connection_lost', '08006'), 'connection'],
      [error('connection_failed', '57P03'), 'connection'],
      [error('connection_failed'), 'connection'],
      [error('connection_failed', '53300'), 'connection-limit'],
      [error('connection_failed', undefined, 'connection to server failed: FATAL:  sorry, too many clients already'), 'connection-limit'],
      [error('connection_failed', undefined, 'FATAL:  too many connections for role "backup"'), 'connection-limit'],
      [error('connection_failed', undefined, 'FATAL:  remaining connection slots are reserved for superusers'), 'connection-limit'],
      [error('recovery_conflict', '40001'), 'conflict'],
      [error('server_error', '40P01'), 'conflict'],
      [error('server_error', '57014'), 'cancelled-statement'],
      [error('lock_not_available', '55P03'), 'lock-queue'],
      [error('server_error', '42P01'), null],
      [error('server_error', '53200'), null],
      [error('permission_denied', '42501'), null],
      [error('authentication_failed'), null],
      [error('page_damaged', 'XX001'), null],
      [error('snapshot_invalid'), null],
      [error('relation_changed'), null],
      [error('disk_full'), null],
      [error('cancelled'), null],
    ] as const)
      assert.equal(toRetryClass(failure), expected, `${failure.code} ${failure.details.sqlstate} ${failure.message}`);
  });

  it('waits twice as long each time, up to a bound, with the second half at random', () => {
    const { connection } = retryRules;
    const delays = [1, 2, 3, 4, 5, 6, 7, 8].map((failures) => toDelayMs(connection, failures, () => 1));
    assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    assert.equal(
      toDelayMs(connection, 3, () => 0),
      1000,
    );
    const many = Array.from({ length: 100 }, () => toDelayMs(connection, 4, Math.random));
    assert.ok(many.every((delayMs) => delayMs >= 2000 && delayMs <= 4000));
    assert.ok(new Set(many).size > 10);
  });
});
