import { DbbackupError, type ErrorCode } from 'dbbackup';

/** A predicate for `assert.throws` and `assert.rejects`: an error of this code whose message matches. */
export const isErrorWith =
  (code: ErrorCode, message: RegExp) =>
  (error: unknown): true => {
    if (error instanceof DbbackupError && error.code === code && message.test(error.message)) return true;
    throw error;
  };
