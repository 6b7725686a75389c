import { chmod, mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `f_type` of tmpfs, which would hold the cluster in memory: linux/magic.h. */
const tmpfsType = 0x01021994;

const freeBytes = async (directory: string): Promise<number> => {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
};

const chooseParent = async (): Promise<string> => {
  const parent = tmpdir();
  return (await statfs(parent)).type === tmpfsType && process.env['TMPDIR'] === undefined ? '/var/tmp' : parent;
};

/**
 * Owns a new directory for the duration of `run`: below $TMPDIR, else /tmp, else /var/tmp where /tmp is kept in memory.
 * Others may pass through it (0711), because the server runs as another user when started by root. Fails early when `neededBytes` are not free.
 */
export const withScratchDirectory = async <T>(prefix: string, neededBytes: number, run: (directory: string) => Promise<T>): Promise<T> => {
  const parent = await chooseParent();
  const free = await freeBytes(parent);
  if (free < neededBytes) {
    throw new Error(
      `${parent} has ${(free / 1e9).toFixed(1)} GB free, ${(neededBytes / 1e9).toFixed(1)} GB are needed; set TMPDIR to a directory with more room`,
    );
  }
  const directory = await mkdtemp(join(parent, prefix));
  try {
    await chmod(directory, 0o711);
    return await run(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};
