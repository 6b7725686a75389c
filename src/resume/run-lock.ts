import { randomUUID } from 'node:crypto';
import { rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { DbbackupError } from '../core/errors.js';
import { syncDirectory } from '../storage/durable-files.js';
import { backupNames, nameInBackup } from '../storage/layout.js';
import type { LocalStorage, Storage } from '../storage/storage.js';
import { errnoName, toStorageError } from '../storage/storage-error.js';
import { findProcess, identifySelf, type ProcessIdentity } from './process-identity.js';

/** Who works on a backup. */
export interface LockOwner extends ProcessIdentity {
  /** ISO 8601, UTC. */
  readonly since: string;
  /** Of this lock alone. */
  readonly nonce: string;
}

/** A lock that this process holds. */
export interface HeldLock {
  /** Gives it back; does nothing when it is gone. */
  release(): Promise<void>;
}

const ownerSchema = z.looseObject({
  pid: z.int().min(1),
  host: z.string(),
  bootId: z.string(),
  startTicks: z.string(),
  since: z.iso.datetime(),
  nonce: z.uuid(),
});

const maxLockBytes = 4096;
const maxTries = 5;

/** Takes the lock of a backup or run. Errors: `locked` naming owner, host and age; those of the storage. */
export const takeRunLock = (storage: LocalStorage, id: string, now: Date): Promise<HeldLock> =>
  takeLock(storage, nameInBackup(id, backupNames.lock), `backup ${id}`, now);

/** Who holds the lock of a backup; null when nobody does, or a process of this machine that has ended. One of another machine is told as it stands there. */
export const readRunLock = async (storage: Storage, id: string): Promise<LockOwner | null> => {
  const owner = await readOwner(storage, nameInBackup(id, backupNames.lock));
  return owner === null || owner === 'damaged' || (await findProcess(owner)) === 'dead' ? null : owner;
};

/**
 * Takes the lock of that name. One whose process has ended is taken over: whoever first publishes a claim on that very lock may put its own in the place, and nobody else can
 * have done so before, since the lock would be another.
 */
export const takeLock = async (storage: LocalStorage, name: string, what: string, now: Date): Promise<HeldLock> => {
  const self = { ...(await identifySelf()), since: now.toISOString(), nonce: randomUUID() };
  for (let tries = 1; ; tries += 1) {
    // Looked at before anything is written: on a full disk, too, it is known who holds it.
    const found = await readOwner(storage, name);
    if (found === null && (await publishNew(storage, name, self))) return toHeld(storage, name, self);
    const owner = found ?? (await readOwner(storage, name));
    // It was given back in this moment.
    if (owner === null && tries < maxTries) continue;
    if (owner === null || owner === 'damaged') throw toLocked(storage, name, what, null, now);
    if ((await findProcess(owner)) !== 'dead') throw toLocked(storage, name, what, owner, now);
    if (await takeOver(storage, name, owner, self)) return toHeld(storage, name, self);
    if (tries === maxTries) throw toLocked(storage, name, what, owner, now);
  }
};

const publishNew = async (storage: LocalStorage, name: string, owner: LockOwner): Promise<boolean> => {
  try {
    await storage.publish(name, `${JSON.stringify(owner)}\n`);
    return true;
  } catch (error) {
    if ((await storage.stat(name)) !== null) return false;
    // It was there and has been given back since.
    if (error instanceof DbbackupError && error.code === 'io_error' && / exists already$/.test(error.message)) return false;
    throw error;
  }
};

const takeOver = async (storage: LocalStorage, name: string, stale: LockOwner, self: LockOwner): Promise<boolean> => {
  const claim = `${name}.${stale.nonce}`;
  if (!(await publishNew(storage, claim, self))) {
    const claimer = await readOwner(storage, claim);
    // Ended between its claim and the next step.
    if (claimer !== null && (claimer === 'damaged' || (await findProcess(claimer)) === 'dead')) await storage.remove(claim);
    return false;
  }
  const current = await readOwner(storage, name);
  if (current === null || current === 'damaged' || current.nonce !== stale.nonce) {
    await storage.remove(claim);
    return false;
  }
  const path = await storage.localPath(name);
  try {
    await rename(await storage.localPath(claim), path);
  } catch (error) {
    throw toStorageError(error, 'write', path);
  }
  await syncDirectory(dirname(path));
  return true;
};

const toHeld = (storage: LocalStorage, name: string, self: LockOwner): HeldLock => ({
  release: async () => {
    const owner = await readOwner(storage, name);
    if (owner === null || owner === 'damaged' || owner.nonce !== self.nonce) return;
    const path = await storage.localPath(name);
    try {
      await unlink(path);
    } catch (error) {
      if (errnoName(error) !== 'ENOENT') throw toStorageError(error, 'write', path);
    }
  },
});

const readOwner = async (storage: Storage, name: string): Promise<LockOwner | 'damaged' | null> => {
  const content = await storage.read(name, maxLockBytes);
  if (content === null) return null;
  try {
    return ownerSchema.parse(JSON.parse(content.toString('utf8')));
  } catch {
    return 'damaged'; // the caller says which lock it is
  }
};

const toLocked = (storage: Storage, name: string, what: string, owner: LockOwner | null, now: Date): DbbackupError => {
  const path = `${storage.location}/${name}`;
  const hint =
    owner === null
      ? `Delete ${path} if nobody works on it.`
      : `Wait until it has ended, or stop it. If it is gone for good with its machine, delete ${path}.`;
  const message =
    owner === null
      ? `the lock of ${what} cannot be read`
      : `${what} is worked on by process ${owner.pid} on ${owner.host}, for ${formatAge(now.getTime() - Date.parse(owner.since))}`;
  return new DbbackupError('locked', message, { details: { object: what, path, hint } });
};

const formatAge = (ageMs: number): string => {
  const seconds = Math.max(0, Math.round(ageMs / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
};
