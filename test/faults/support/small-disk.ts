import { mkdir, statfs } from 'node:fs/promises';
import { runChildOrThrow } from '../../support/child.js';

/** Why no file system can be mounted here, or false. */
export const noMountReason: string | false = process.getuid?.() === 0 ? false : 'mounting a file system needs root';

/** Runs `fn` with a new file system in memory of that size, mounted at `path`, and unmounts it afterwards. */
export const withSmallDisk = async <T>(path: string, sizeBytes: number, fn: () => Promise<T>): Promise<T> => {
  await mkdir(path, { recursive: true });
  await runChildOrThrow('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes},mode=0755`, 'tmpfs', path]);
  try {
    return await fn();
  } finally {
    await runChildOrThrow('umount', [path]);
  }
};

export const usedBytes = async (path: string): Promise<number> => {
  const { blocks, bfree, bsize } = await statfs(path);
  return (blocks - bfree) * bsize;
};
