import { DbbackupError } from '../core/errors.js';
import type { DatabaseFacts, EarlierFacts } from '../manifest/builder.js';
import { isRelationChunk } from '../planner/plan.js';
import type { QueuedTask } from '../planner/queue.js';
import type { EarlierReading, KeptReading } from './mix-plans.js';
import type { SnapshotState } from './state-lines.js';

/** Of one database of a run that is continued. */
export interface DatabaseHistory {
  readonly number: number;
  /** Oldest first; empty where the run had not come so far. */
  readonly states: readonly SnapshotState[];
  /** Tasks of any snapshot whose files are there and sound. */
  readonly sound: ReadonlySet<number>;
}

/** What a database needs: nothing more, its last snapshot, or a new one. */
export type Need = 'nothing' | 'same-snapshot' | 'new-snapshot';

/**
 * What is to be done for a database before anything of it is read. A file of an earlier snapshot that is no longer sound can only be replaced under a new one; so can an
 * archive of definitions (`isSchemaSound`).
 */
export const findNeed = (history: DatabaseHistory, isSchemaSound: boolean): Need => {
  const last = history.states.at(-1);
  if (last === undefined || !isSchemaSound) return 'new-snapshot';
  if (listKeptTasks(history).some(({ taskId }) => !history.sound.has(taskId))) return 'new-snapshot';
  return last.tasks.every(({ taskId }) => history.sound.has(taskId)) ? 'nothing' : 'same-snapshot';
};

/** Whether rows would be lost by reading everything anew. */
export const hasRows = ({ states, sound }: DatabaseHistory): boolean =>
  states.some(({ tasks }) => tasks.some(({ taskId }) => sound.has(taskId)));

/** For `mixPlans`: newest first. */
export const toEarlierReadings = ({ states, sound }: DatabaseHistory): readonly EarlierReading[] =>
  states.map(({ snapshot, catalog, plan, tasks }) => ({ snapshot: snapshot.number, catalog, plan, tasks, finished: sound })).reverse();

/** What the last snapshot's state says of earlier ones, for the manifest. */
export const toEarlierFacts = (states: readonly SnapshotState[], kept: readonly KeptReading[]): readonly EarlierFacts[] =>
  kept.map(({ snapshot, relationOids, areLargeObjectsKept }) => {
    const state = findState(states, snapshot);
    return { snapshot: state.snapshot, catalog: state.catalog, plan: state.plan, relationOids: new Set(relationOids), areLargeObjectsKept };
  });

/** Tasks of earlier snapshots of which anything stays. */
export const listTasksOf = (states: readonly SnapshotState[], kept: readonly KeptReading[]): readonly QueuedTask[] =>
  kept.flatMap(({ snapshot, relationOids, areLargeObjectsKept }) => {
    const { plan, tasks } = findState(states, snapshot);
    const oids = new Set(relationOids);
    return tasks.filter(({ chunks }) =>
      chunks.some((chunk) => (isRelationChunk(chunk) ? oids.has(plan.relations[chunk.relation]?.oid ?? 0) : areLargeObjectsKept)),
    );
  });

const listKeptTasks = ({ states }: DatabaseHistory): readonly QueuedTask[] => listTasksOf(states, states.at(-1)?.kept ?? []);

/** What is known of a database whose last snapshot is read, or goes on being read. */
export const toFacts = (
  source: { readonly number: number; readonly name: string; readonly wave: number },
  states: readonly SnapshotState[],
): DatabaseFacts => {
  const last = states.at(-1);
  if (last === undefined) throw new DbbackupError('internal', `database ${source.number} has no snapshot`);
  const { snapshot, catalog, plan, schema, kept } = last;
  return { ...source, snapshot, catalog, plan, schema, earlier: toEarlierFacts(states, kept) };
};

const findState = (states: readonly SnapshotState[], number: number): SnapshotState => {
  const state = states.find(({ snapshot }) => snapshot.number === number);
  if (state === undefined) throw new DbbackupError('manifest_damaged', `the run keeps rows of snapshot ${number}, which is not listed`);
  return state;
};
