import { DbbackupError } from '../core/errors.js';
import { endKeepers, readKeepers } from '../keeper/list.js';
import type { KeeperState } from '../keeper/replies.js';
import { toXminAge } from '../keeper/xmin-age.js';
import type { KeeperListReport, KeeperStopOptions, KeeperStopReport, KeeperSummary } from './options.js';

/** Lists the keepers of this user on this machine, the oldest first. Errors: `not_writable` when their directory is not this user's. */
export const listKeepers = async (): Promise<KeeperListReport> => ({ keepers: (await readKeepers()).map(toSummary) });

/**
 * Ends keepers, and with them the snapshots and locks they hold: a run that uses one fails, one that was interrupted can no longer be continued exactly.
 * Errors: `keeper_not_found` when there is none of that ID.
 */
export const stopKeepers = async ({ id }: KeeperStopOptions): Promise<KeeperStopReport> => {
  const ended = await endKeepers((state) => id === undefined || state.id === id);
  if (id !== undefined && ended.length === 0)
    throw new DbbackupError('keeper_not_found', `no keeper of ${id} runs here`, { details: { object: id } });
  return { stopped: ended.map(toSummary) };
};

const toSummary = (state: KeeperState): KeeperSummary => ({
  id: state.id,
  database: state.database,
  pid: state.pid,
  backendPid: state.backendPid,
  startedAt: new Date(state.startedAtMs).toISOString(),
  attachedPid: state.attachedPid,
  endsInMs: state.endsInMs,
  isHolding: state.isHolding,
  xminAge: toXminAge(state),
});
