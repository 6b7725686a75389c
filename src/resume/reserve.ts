import { randomBytes } from 'node:crypto';
import { DbbackupError } from '../core/errors.js';
import { backupNames, nameInBackup } from '../storage/layout.js';
import type { LocalStorage } from '../storage/storage.js';

/** Room for some ten thousand Events, and for the run to be continued once there is space again. */
const reserveBytes = 2 * 1024 * 1024;

/**
 * Takes some of the disk, so that a run that fills it can still tell how it ended. Random: a file system that compresses would give the room to others. Where there is no room
 * even for this, the run goes without: what it writes next will tell.
 */
export const storeReserve = async (storage: LocalStorage, id: string): Promise<void> => {
  try {
    await storage.publish(nameInBackup(id, backupNames.reserve), randomBytes(reserveBytes));
  } catch (error) {
    if (!(error instanceof DbbackupError && error.code === 'disk_full')) throw error;
  }
};

/** Gives it back. */
export const freeReserve = (storage: LocalStorage, id: string): Promise<void> => storage.remove(nameInBackup(id, backupNames.reserve));
