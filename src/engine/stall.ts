import type { EngineStats } from '../native/engine.js';

/** What `pg_stat_activity` says of a server process; fields are null where it says nothing, or nothing that this role may see. */
export interface BackendState {
  readonly state: string | null;
  readonly waitEventType: string | null;
  readonly waitEvent: string | null;
  /** Processes that hold what it waits for. */
  readonly blockers: readonly number[];
}

/**
 * Why a task from which nothing has come for long will not go on, for a message; null where its server process is at work: a range of dead rows sends nothing for minutes.
 * `backend` null: there is no such process any more. `unreadBytes`: what has arrived and waits for us.
 */
export const judgeStall = (backend: BackendState | null, unreadBytes: number): string | null => {
  if (unreadBytes > 0) return null;
  if (backend === null) return 'its server process is gone';
  const { state, waitEventType, waitEvent, blockers } = backend;
  // A role that may not see it gives it the benefit of the doubt.
  if (state === null) return null;
  if (state !== 'active') return `its server process is ${state}`;
  if (waitEventType === 'Lock') return `its server process waits for a lock that ${nameProcesses(blockers)} holds`;
  // Each waits for the other: what was sent is lost on the way.
  if (waitEventType === 'Client' && waitEvent === 'ClientWrite') return 'nothing that its server process sends arrives';
  return null;
};

const nameProcesses = (pids: readonly number[]): string => (pids.length === 0 ? 'another session' : `server process ${pids.join(', ')}`);

interface Seen {
  readonly source: number;
  readonly rawBytes: number;
  readonly sinceMs: number;
}

/** Finds tasks that do not get on. Cost: a few numbers for each worker. */
export class StallTracker {
  readonly #stallMs: number;
  #seen = new Map<number, Seen>();

  constructor(stallMs: number) {
    this.#stallMs = stallMs;
  }

  /** IDs of tasks whose numbers are what they were for so long; each is told again after as long again. */
  update(workers: EngineStats['workers'], nowMs: number): readonly number[] {
    const next = new Map<number, Seen>();
    const stalled: number[] = [];
    for (const { taskId, source, rawBytes } of workers) {
      const before = this.#seen.get(taskId);
      const isSame = before !== undefined && before.source === source && before.rawBytes === rawBytes;
      const isStalled = isSame && nowMs - before.sinceMs >= this.#stallMs;
      if (isStalled) stalled.push(taskId);
      next.set(taskId, isSame && !isStalled ? before : { source, rawBytes, sinceMs: nowMs });
    }
    this.#seen = next;
    return stalled;
  }
}
