import { chmod, lstat, mkdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { DbbackupError } from '../core/errors.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** unix(7): of a socket's path, without the NUL. */
const maxSocketPathBytes = 107;

const socketSuffix = '.sock';

/** `ID-2.sock`: the keeper of a backup's second database. */
const toSocketName = (id: string, database: number): string => `${id}-${database}${socketSuffix}`;

export const isSocketName = (name: string): boolean => name.endsWith(socketSuffix);

/**
 * Directories that may hold sockets of this user's keepers, the preferred one first. A run under cron has no `XDG_RUNTIME_DIR` where the user's shell has one, so
 * each looks into both.
 */
export const toKeeperDirectories = (environment: Environment): readonly string[] => {
  const runtimeDir = environment['XDG_RUNTIME_DIR'] ?? '';
  const common = `/tmp/dbbackup-${userInfo().uid}`;
  return runtimeDir.startsWith('/') ? [join(runtimeDir, 'dbbackup'), common] : [common];
};

/** Paths that a keeper's socket may have, the preferred one first. */
export const toSocketPaths = (environment: Environment, id: string, database: number): readonly string[] => {
  const paths = toKeeperDirectories(environment).map((directory) => join(directory, toSocketName(id, database)));
  return paths.filter((path) => Buffer.byteLength(path) <= maxSocketPathBytes);
};

/**
 * True when the directory is there and only this user can have put anything into it. Errors: `not_writable` when somebody else could: a socket there may be anybody's.
 */
export const isOwnDirectory = async (directory: string): Promise<boolean> => {
  try {
    const found = await lstat(directory);
    if (found.isDirectory() && found.uid === userInfo().uid) {
      // Of another mode only where somebody changed it; nobody else can have made it.
      if ((found.mode & 0o077) !== 0) await chmod(directory, 0o700);
      return true;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw toPlaceError(directory, error);
  }
  throw new DbbackupError('not_writable', `${directory} is not a directory of this user`, {
    details: { path: directory, hint: 'Remove it, or set XDG_RUNTIME_DIR to a directory that is yours alone.' },
  });
};

/** Makes the directory of a socket where it is missing, for this user alone. Errors: `not_writable`. */
export const makeOwnDirectory = async (directory: string): Promise<void> => {
  if (await isOwnDirectory(directory)) return;
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    // Another run of this user may be faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw toPlaceError(directory, error);
  }
  await isOwnDirectory(directory);
};

const toPlaceError = (directory: string, cause: unknown): DbbackupError =>
  new DbbackupError('not_writable', `the directory of keepers ${directory} cannot be used: ${(cause as Error).message}`, {
    cause,
    details: { path: directory, hint: 'Set XDG_RUNTIME_DIR to a directory that is yours, or back up with --no-keeper.' },
  });
