import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { Event } from '#src/index.js';
import type { ChildOptions, ChildOutcome } from '../../support/child.js';
import { runCli } from '../../support/cli.js';

/** A run of `dbbackup` that goes on. */
export interface RunningCli {
  readonly pid: number;
  /** Events so far. */
  readonly events: readonly Event[];
  readonly outcome: Promise<ChildOutcome>;
  /** Resolves with the first Event of that type, or the first that `isWanted` accepts; rejects when the run ends without one. */
  waitFor(wanted: Event['type'] | ((event: Event) => boolean)): Promise<Event>;
  /** Sends a signal and resolves with the outcome and the time from the signal to the end. */
  end(signal: NodeJS.Signals): Promise<ChildOutcome & { readonly elapsedMs: number }>;
}

/** Starts `dbbackup … --json` and reads its Events as they come. */
export const startRun = (args: readonly string[], options: ChildOptions = {}): RunningCli => {
  const events: Event[] = [];
  let wake = (): void => undefined;
  let hasEnded = false;
  let kill = (_signal: NodeJS.Signals): void => undefined;
  let pid = 0;
  const outcome = runCli([...args, '--json'], {
    ...options,
    // Called before runCli returns.
    onSpawn: (child) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        events.push(JSON.parse(line) as Event);
        wake();
      });
      kill = (signal) => void child.kill(signal);
      pid = child.pid ?? 0;
      options.onSpawn?.(child);
    },
  });
  const ended = outcome.then(() => {
    hasEnded = true;
  });
  return {
    pid,
    events,
    outcome,
    waitFor: async (wanted) => {
      const isWanted = typeof wanted === 'string' ? (event: Event) => event.type === wanted : wanted;
      for (;;) {
        const found = events.find(isWanted);
        if (found !== undefined) return found;
        if (hasEnded) throw new Error(`the run ended first: ${(await outcome).stderr}`);
        const next = new Promise<void>((resolve) => {
          wake = resolve;
        });
        await Promise.race([ended, next]);
      }
    },
    end: async (signal) => {
      const startedAt = performance.now();
      kill(signal);
      const result = await outcome;
      return { ...result, elapsedMs: performance.now() - startedAt };
    },
  };
};
