import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEmit, systemClock } from '#src/core/context.js';
import type { Event } from '#src/core/events.js';

test('an event is stamped once and told to every listener in order', () => {
  const told: (readonly [string, Event])[] = [];
  const emit = createEmit([(event) => told.push(['first', event]), undefined, (event) => told.push(['second', event])], {
    nowMs: () => 1234,
    monotonicMs: () => 0,
  });
  const event = emit({ type: 'phase.started', phase: 'data' });
  assert.deepEqual(event, { atMs: 1234, type: 'phase.started', phase: 'data' });
  assert.deepEqual(told, [
    ['first', event],
    ['second', event],
  ]);
});

test('the system clock tells the time and never goes back', () => {
  assert.ok(Math.abs(systemClock.nowMs() - Date.now()) < 1000);
  const before = systemClock.monotonicMs();
  assert.ok(systemClock.monotonicMs() >= before);
});
