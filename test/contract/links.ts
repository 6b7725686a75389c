import { rename, symlink } from 'node:fs/promises';

/** Moves a file or directory away and leaves a link to it in its place. */
export const moveBehindLink = async (path: string, away: string, target: string): Promise<void> => {
  await rename(path, away);
  await symlink(target, path);
};
