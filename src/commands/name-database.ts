import type { Leader } from '../catalog/leader.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';

/** What a server says of a relation or a role does not tell in which database. */
export const nameDatabase = (error: DbbackupError, name: string): DbbackupError => {
  const quoted = JSON.stringify(name);
  return error.code === 'cancelled' || error.message.includes(quoted)
    ? error
    : new DbbackupError(error.code, `database ${quoted}: ${error.message}`, { cause: error, details: error.details });
};

/** `leader`, whose errors tell of which of several databases they are. */
export const nameLeader = (leader: Leader, name: string): Leader => {
  const named = <T>(run: Promise<T>): Promise<T> =>
    run.catch((error: unknown) => {
      throw nameDatabase(toDbbackupError(error), name);
    });
  return {
    takeSnapshot: (options) => named(leader.takeSnapshot(options)),
    adoptSnapshot: (known) => named(leader.adoptSnapshot(known)),
    checkSnapshot: () => named(leader.checkSnapshot()),
    releaseSnapshot: () => named(leader.releaseSnapshot()),
  };
};
