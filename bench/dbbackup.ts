import { delimiter } from 'node:path';
import type { Event } from '#src/core/events.js';
import { cliPath } from '../test/support/cli.js';
import type { Cluster } from '../test/support/cluster.js';
import { type Measured, runMeasured } from './measured-child.js';

export type EventOf<Type extends Event['type']> = Extract<Event, { readonly type: Type }>;

export interface DbbackupRun {
  readonly measured: Measured;
  readonly events: readonly Event[];
}

/** Runs `dbbackup … --json` as a process of its own, so that its time and memory are a user's: start of Node included. */
export const runDbbackup = async (
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<DbbackupRun> => {
  const measured = await runMeasured(process.execPath, [cliPath, ...args, '--json'], { env, signal });
  const events = measured.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Event);
  return { measured, events };
};

/** The last event of a type, which a finished run must have. */
export const findEvent = <Type extends Event['type']>(run: DbbackupRun, type: Type): EventOf<Type> => {
  const event = run.events.findLast((candidate): candidate is EventOf<Type> => candidate.type === type);
  if (event === undefined) throw new Error(`dbbackup printed no event ${type}`);
  return event;
};

/** Environment in which dbbackup and restore.sh reach a cluster and find the client tools of its version before all others. */
export const toRunEnv = (cluster: Cluster): Readonly<Record<string, string>> => ({
  ...cluster.env('postgres'),
  PATH: `${cluster.binDir}${delimiter}${process.env['PATH'] ?? ''}`,
});
