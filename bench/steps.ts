import { formatSeconds } from './format.js';

export interface Steps {
  /** Runs one step; `describe` adds what it found out to its line. */
  readonly run: <T>(title: string, step: () => Promise<T>, describe?: (result: T) => string) => Promise<T>;
  readonly elapsedSeconds: () => number;
}

/** Prints a line for each step: what is being done, then how long it took. After an abort no step begins. */
export const createSteps = (write: (text: string) => void, signal: AbortSignal): Steps => {
  const startedAt = performance.now();
  let count = 0;
  return {
    run: async (title, step, describe = () => '') => {
      signal.throwIfAborted();
      count += 1;
      const begin = performance.now();
      write(`${String(count).padStart(3)}. ${title} … `);
      try {
        const result = await step();
        const found = describe(result);
        write(`${formatSeconds((performance.now() - begin) / 1000)}${found === '' ? '' : `, ${found}`}\n`);
        return result;
      } catch (error) {
        write(signal.aborted ? 'stopped\n' : 'failed\n');
        throw error;
      }
    },
    elapsedSeconds: () => (performance.now() - startedAt) / 1000,
  };
};
