import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A control group whose processes together get no more memory than its limit; beyond, the kernel kills one of them. */
export interface MemoryCap {
  /** Command and arguments that run a program within it. */
  wrap(command: string, args: readonly string[]): readonly [command: string, args: readonly string[]];
  /** How many processes the kernel has killed in it, where it tells. */
  killCount(): Promise<number>;
}

const first = '/sys/fs/cgroup/memory';
const second = '/sys/fs/cgroup';

/** Version 1 has a tree for each controller, version 2 one for all. */
const findRoot = (): {
  readonly root: string;
  readonly limit: string;
  readonly swap: readonly [string, string];
  readonly events: string;
} | null => {
  if (process.getuid?.() !== 0) return null;
  if (existsSync(join(first, 'memory.limit_in_bytes')))
    return { root: first, limit: 'memory.limit_in_bytes', swap: ['memory.swappiness', '0'], events: 'memory.oom_control' };
  const controllers = join(second, 'cgroup.subtree_control');
  if (!existsSync(controllers) || !readFileSync(controllers, 'utf8').includes('memory')) return null;
  return { root: second, limit: 'memory.max', swap: ['memory.swap.max', '0'], events: 'memory.events' };
};

/** Why no memory can be capped here, or false. */
export const noCapReason: string | false =
  findRoot() === null ? 'a control group needs root, and a kernel that lets its memory be limited' : false;

/** Runs `fn` with a control group of that size and removes it afterwards. */
export const withMemoryCap = async <T>(limitBytes: number, fn: (cap: MemoryCap) => Promise<T>): Promise<T> => {
  const found = findRoot();
  if (found === null) throw new Error('no memory can be capped here');
  const directory = join(found.root, `dbbackup-test-${process.pid}`);
  await mkdir(directory);
  try {
    await writeFile(join(directory, found.limit), String(limitBytes));
    const [swapFile, swapValue] = found.swap;
    if (existsSync(join(directory, swapFile))) await writeFile(join(directory, swapFile), swapValue);
    return await fn({
      wrap: (command, args) => ['sh', ['-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', directory, command, ...args]],
      killCount: async () => Number(/oom_kill (\d+)/.exec(await readFile(join(directory, found.events), 'utf8'))?.[1] ?? 0),
    });
  } finally {
    await removeGroup(directory);
  }
};

/** A process that has ended is counted for a moment longer. */
const removeGroup = async (directory: string): Promise<void> => {
  for (let tries = 1; ; tries += 1) {
    try {
      await rmdir(directory);
      return;
    } catch (error) {
      if (tries === 50) throw error;
      await sleep(100);
    }
  }
};
