import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BackendState, judgeStall, StallTracker } from '#src/engine/stall.js';

const backend = (
  state: string | null,
  waitEventType: string | null = null,
  waitEvent: string | null = null,
  blockers: readonly number[] = [],
): BackendState => ({
  state,
  waitEventType,
  waitEvent,
  blockers,
});

describe('a task that does not get on', () => {
  it('is told apart from one whose server process is at work', () => {
    for (const [state, unreadBytes, expected] of [
      [backend('active'), 0, null],
      [backend('active', 'IO', 'DataFileRead'), 0, null],
      [backend('active', 'Timeout', 'PgSleep'), 0, null],
      // It waits for us, and we for our own disk.
      [backend('active', 'Client', 'ClientWrite'), 200_000, null],
      [backend('active', 'Client', 'ClientWrite'), 0, 'nothing that its server process sends arrives'],
      [backend('active', 'Lock', 'relation', [7, 8]), 0, 'its server process waits for a lock that server process 7, 8 holds'],
      [backend('active', 'Lock', 'relation'), 0, 'its server process waits for a lock that another session holds'],
      [backend('idle in transaction', 'Client', 'ClientRead'), 0, 'its server process is idle in transaction'],
      [backend('idle in transaction', 'Client', 'ClientRead'), 5, null],
      [backend(null), 0, null],
      [null, 0, 'its server process is gone'],
    ] as const)
      assert.equal(judgeStall(state, unreadBytes), expected, JSON.stringify([state, unreadBytes]));
  });

  it('is one whose numbers stand still for the whole time, told again after as long again', () => {
    const tracker = new StallTracker(1000);
    const at = (nowMs: number, ...workers: readonly (readonly [taskId: number, source: number, rawBytes: number])[]) =>
      tracker.update(
        workers.map(([taskId, source, rawBytes]) => ({ taskId, source, rawBytes, rowCount: 0 })),
        nowMs,
      );
    assert.deepEqual(at(0, [1, 0, 10], [2, 0, 5]), []);
    assert.deepEqual(at(900, [1, 0, 10], [2, 0, 6]), []);
    assert.deepEqual(at(1000, [1, 0, 10], [2, 0, 6]), [1]);
    assert.deepEqual(at(1500, [1, 0, 10], [2, 1, 6]), []);
    assert.deepEqual(at(2000, [1, 0, 10], [2, 1, 6]), [1]);
    assert.deepEqual(at(2500, [2, 1, 6]), [2]);
    // A task that was away begins anew.
    assert.deepEqual(at(2600, [1, 0, 10]), []);
    assert.deepEqual(at(3500, [1, 0, 10]), []);
    assert.deepEqual(at(3600, [1, 0, 10]), [1]);
  });
});
