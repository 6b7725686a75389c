import { DbbackupError, toDbbackupError } from '../core/errors.js';

/**
 * Runs `cleanUp` because `first` has happened, and gives the error to throw: `first`, with what went wrong in `cleanUp` attached. Both fail when the connection
 * is gone, and only the first one tells why.
 */
export const afterFailure = async (first: unknown, cleanUp: () => Promise<unknown>): Promise<DbbackupError> => {
  const failure = toDbbackupError(first);
  try {
    await cleanUp();
    return failure;
  } catch (error) {
    const later = [...(failure.details.later ?? []), toDbbackupError(error)];
    return new DbbackupError(failure.code, failure.message, { cause: first, details: { ...failure.details, later } });
  }
};
