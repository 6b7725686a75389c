/** What a server has left for this run. */
export interface HeadRoom {
  /** Connections that may still be opened. */
  readonly connectionCount: number;
  /** Tasks at the same time, each with a connection of its own. */
  readonly jobs: number;
}

/** For a client tool that may run beside the tasks, and for whoever else connects meanwhile. */
const spareCount = 2;

/**
 * Parts databases into waves whose snapshots can be held at the same time: each takes one connection, beside those of the jobs. At least one database a wave: where not
 * even that fits, the server says so itself. Pure.
 */
export const toWaves = <T>(databases: readonly T[], { connectionCount, jobs }: HeadRoom): readonly (readonly T[])[] => {
  const size = Math.max(1, connectionCount - jobs - spareCount);
  const waves: T[][] = [];
  for (let begin = 0; begin < databases.length; begin += size) waves.push(databases.slice(begin, begin + size));
  return waves;
};
