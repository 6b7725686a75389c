import { chmod, chown, mkdir } from 'node:fs/promises';
import type { ServerUser } from '../../support/server-user.js';
import { findServerUser } from '../../support/server-user.js';

/** Whom to run a program as so that file modes bind it: root may write everywhere. Empty for whoever is not root. */
export const unprivilegedUser = (): ServerUser | Record<string, never> => findServerUser() ?? {};

/** Creates a directory that `unprivilegedUser` may list and enter, and not write. */
export const makeReadOnlyDirectory = async (path: string): Promise<void> => {
  await mkdir(path);
  await chmod(path, 0o555);
};

/** Hands a directory over to `unprivilegedUser`. */
export const giveAway = async (path: string): Promise<void> => {
  const user = findServerUser();
  if (user !== undefined) await chown(path, user.uid, user.gid);
};
