/** Numbers from 0 to below 1, the same for a seed. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
};

/** How often runs are killed, and from which seed; `npm run test:faults` kills more often than the quick suite. */
export const kills = Number(process.env['DBBACKUP_TEST_KILLS'] ?? 4);
export const seed = Number(process.env['DBBACKUP_TEST_SEED'] ?? 20261125);
