import { DbbackupError } from '../core/errors.js';

/** A database may have a limit of its own, which no head-room of the server tells. */
export const adviseOnConnections = (error: unknown): unknown =>
  error instanceof DbbackupError && error.details.hint === undefined && /too many connections for database/.test(error.message)
    ? new DbbackupError(error.code, error.message, {
        cause: error,
        details: {
          ...error.details,
          hint: 'Raise its CONNECTION LIMIT, lower --jobs, or leave it out with --exclude-database; a superuser is bound by no limit.',
        },
      })
    : error;
