import type { Event, EventBody, EventListener } from './events.js';

/** Where time comes from: pure code and tests are given one. */
export interface Clock {
  /** Milliseconds since 1970, UTC: for what is recorded. May jump. */
  nowMs(): number;
  /** Milliseconds since some fixed moment: for elapsed times. Never goes back. */
  monotonicMs(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };

/** Stamps what happened with the time and tells every listener, in order. Returns the Event. */
export type Emit = (body: EventBody) => Event;

/** An Emit for the given listeners; those left undefined are skipped. */
export const createEmit = (listeners: readonly (EventListener | undefined)[], clock: Clock = systemClock): Emit => {
  const present = listeners.filter((listener) => listener !== undefined);
  return (body) => {
    const event: Event = { atMs: clock.nowMs(), ...body };
    for (const listener of present) listener(event);
    return event;
  };
};
