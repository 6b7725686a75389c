import { readFile, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What this machine leaves to the process. Null: not known. */
export interface MachineFacts {
  readonly availableMemoryBytes: number | null;
  /** Of the control group, where there is a limit. */
  readonly memoryLimitBytes: number | null;
  readonly openFilesLimit: number | null;
  readonly freeDiskBytes: number | null;
}

const readText = (path: string): Promise<string | null> =>
  readFile(path, 'latin1').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'EACCES' || error.code === 'ENOTDIR') return null;
    throw error;
  });

/** `MemAvailable:    1234 kB`, in bytes. */
const parseAvailable = (text: string | null): number | null => {
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(text ?? '')?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
};

/** The limit on open files that holds now. */
const parseOpenFiles = (text: string | null): number | null => {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(text ?? '')?.[1];
  return soft === undefined || soft === 'unlimited' ? null : Number(soft);
};

/** The least limit of the process's control group and those above it; version 2 names them in one line, version 1 has the memory's own. */
const readGroupLimit = async (): Promise<number | null> => {
  const group = await readText('/proc/self/cgroup');
  const unified = /^0::(.*)$/m.exec(group ?? '')?.[1];
  const limits: number[] = [];
  for (let path = unified ?? '/'; ; path = dirname(path)) {
    const text = await readText(`/sys/fs/cgroup${path === '/' ? '' : path}/memory.max`);
    if (text !== null && /^\d+$/.test(text.trim())) limits.push(Number(text));
    if (path === '/' || path === '.') break;
  }
  const old = await readText('/sys/fs/cgroup/memory/memory.limit_in_bytes');
  // Without a limit version 1 tells the largest number it has.
  if (old !== null && Number(old) < 2 ** 53) limits.push(Number(old));
  return limits.length === 0 ? null : Math.min(...limits);
};

/** Bytes that this user may still write to the file system of `path`, or of the nearest directory above it that exists; null where that cannot be asked. */
export const readFreeBytes = async (path: string): Promise<number | null> => {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || dirname(at) === at) return null;
      if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    }
  }
};

/** Cost: reading some files of /proc, under a millisecond. */
export const readMachineFacts = async (outputPath: string): Promise<MachineFacts> => ({
  availableMemoryBytes: parseAvailable(await readText('/proc/meminfo')),
  memoryLimitBytes: await readGroupLimit(),
  openFilesLimit: parseOpenFiles(await readText('/proc/self/limits')),
  freeDiskBytes: await readFreeBytes(outputPath),
});
