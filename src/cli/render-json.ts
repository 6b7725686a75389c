import type { EventListener } from '../core/events.js';
import type { TextStream } from './style.js';

/** Prints each Event as one line. */
export const createJsonRenderer =
  (stream: TextStream): EventListener =>
  (event) => {
    stream.write(`${JSON.stringify(event)}\n`);
  };
