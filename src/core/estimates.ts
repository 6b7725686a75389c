/** A number that was not measured as a whole: with 95 % probability the truth lies within `error` of `value`, as far as samples can tell. */
export interface Estimate {
  readonly value: number;
  readonly error: number;
}

export const exactly = (value: number): Estimate => ({ value, error: 0 });

/** The sum of estimates that err independently of each other. */
export const sumEstimates = (parts: readonly Estimate[]): Estimate => ({
  value: parts.reduce((sum, { value }) => sum + value, 0),
  error: Math.sqrt(parts.reduce((sum, { error }) => sum + error ** 2, 0)),
});

/** The sum of estimates that err all in the same direction. */
export const addEstimates = (parts: readonly Estimate[]): Estimate => ({
  value: parts.reduce((sum, { value }) => sum + value, 0),
  error: parts.reduce((sum, { error }) => sum + error, 0),
});
