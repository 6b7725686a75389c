/** What a server has left for this run. */
export interface HeadRoom {
  /** Connections that may still be opened. */
  readonly connectionCount: number;
  /** Tasks at the same time, each with a connection of its own. */
  readonly jobs: number;
}

/** For a client tool that may run beside the tasks, and for whoever else connects meanwhile. */
const spareCount = 2;

/** The template of `CREATE DATABASE`, which the server refuses while anybody is connected to it. */
const template = 'template1';

/**
 * Parts databases into waves whose snapshots can be held at the same time: each takes one connection, beside those of the jobs. At least one database a wave: where not
 * even that fits, the server says so itself. `template1` is alone in the first one, so that it is let go before the others are read. Pure.
 */
export const toWaves = <T extends { readonly name: string }>(
  databases: readonly T[],
  { connectionCount, jobs }: HeadRoom,
): readonly (readonly T[])[] => {
  const size = Math.max(1, connectionCount - jobs - spareCount);
  const others = databases.filter(({ name }) => name !== template);
  const waves = others.length === databases.length ? [] : [databases.filter(({ name }) => name === template)];
  for (let begin = 0; begin < others.length; begin += size) waves.push(others.slice(begin, begin + size));
  return waves;
};
