import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MovingRate } from '#src/metrics/rate.js';

test('a first sample has no rate', () => {
  assert.equal(new MovingRate().add(0, 1_000_000), 0);
});

test('the rate follows what happened within the window', () => {
  const rate = new MovingRate(10_000);
  for (let second = 0; second <= 20; second += 1) rate.add(second * 1000, second * 100);
  assert.equal(rate.add(21_000, 2100), 100);
  // A stall: after a window without progress nothing is left of the old rate.
  assert.equal(rate.add(26_000, 2100), 50);
  assert.equal(rate.add(36_000, 2100), 0);
});

test('samples at the same moment do not divide by zero', () => {
  const rate = new MovingRate();
  rate.add(5, 0);
  assert.equal(rate.add(5, 100), 0);
});

test('a total or a time that goes back begins anew', () => {
  const rate = new MovingRate();
  rate.add(0, 0);
  rate.add(1000, 500);
  assert.equal(rate.add(2000, 10), 0);
  assert.equal(rate.add(3000, 20), 10);
  assert.equal(rate.add(1000, 30), 0);
});

test('a steady rate is measured as it is, however unevenly it is sampled', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 2, maxLength: 100 }),
      fc.integer({ min: 1, max: 10_000 }),
      (steps, perMs) => {
        const rate = new MovingRate();
        let atMs = 0;
        rate.add(atMs, 0);
        for (const step of steps) {
          atMs += step;
          assert.equal(rate.add(atMs, atMs * perMs), perMs * 1000);
        }
      },
    ),
  );
});
