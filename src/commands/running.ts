import { hostname } from 'node:os';
import { readRunLock } from '../resume/run-lock.js';
import type { Storage } from '../storage/storage.js';

/** True when a process of this machine works on the run: it holds its lock. One of another machine is not recognised: false. Cost: reading the lock, and two files of /proc. */
export const isRunning = async (storage: Storage, id: string): Promise<boolean> => (await readRunLock(storage, id))?.host === hostname();
