import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { DbbackupError } from '../core/errors.js';
import { processHost } from '../native/host.js';
import { type KeeperChannel, openChannel } from './channel.js';
import { isOwnDirectory, isSocketName, toKeeperDirectories } from './place.js';
import type { KeeperState } from './replies.js';

/** A name that nobody listens to yet may be that of a keeper about to listen; one that is older was left by a keeper that was killed. */
const staleAfterMs = 10_000;

/** What all keepers of this user on this machine tell about themselves, the oldest first. Removes names that killed ones have left. */
export const readKeepers = async (): Promise<readonly KeeperState[]> => {
  const states = await forEachKeeper((channel) => channel.info());
  return [...states].sort((a, b) => a.startedAtMs - b.startedAtMs || (a.id < b.id ? -1 : 1));
};

/** Ends the keepers that `isWanted`, and gives what they told before; resolves when they have ended. */
export const endKeepers = (isWanted: (state: KeeperState) => boolean): Promise<readonly KeeperState[]> =>
  forEachKeeper(async (channel) => {
    const state = await channel.info();
    if (!isWanted(state)) return null;
    await channel.stop();
    return state;
  });

/** What `ask` gives for each keeper but null, one after the other. One that ends meanwhile is left out. */
const forEachKeeper = async <T>(ask: (channel: KeeperChannel) => Promise<T | null>): Promise<readonly T[]> => {
  const answers: T[] = [];
  for (const path of await listSockets()) {
    const channel = await openChannel(path);
    if (channel === null) {
      await removeStale(path);
      continue;
    }
    try {
      const answer = await ask(channel);
      if (answer !== null) answers.push(answer);
    } catch (error) {
      if (!(error instanceof DbbackupError && error.code === 'connection_lost')) throw error;
    } finally {
      await channel.close();
    }
  }
  return answers;
};

const listSockets = async (): Promise<readonly string[]> => {
  const paths: string[] = [];
  for (const directory of toKeeperDirectories(processHost.environment)) {
    if (!(await isOwnDirectory(directory))) continue;
    const names = await readdir(directory);
    paths.push(
      ...names
        .filter(isSocketName)
        .sort()
        .map((name) => join(directory, name)),
    );
  }
  return paths;
};

const removeStale = async (path: string): Promise<void> => {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > staleAfterMs) await unlink(path);
  } catch (error) {
    // The keeper removed it itself.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
};
