import { readdir, readFile } from 'node:fs/promises';

const readProc = async (pid: number | string, name: string): Promise<string> => {
  try {
    return await readFile(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return ''; // it has ended
  }
};

/** Command lines of a process and of all that it has started, their arguments separated by spaces. */
export const commandLines = async (pid: number): Promise<readonly string[]> => {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readProc(name, 'stat');
    // The fields after the program's name, which may hold anything, begin with the state and the parent.
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  }
  const isOwn = (candidate: number): boolean => candidate === pid || (parents.has(candidate) && isOwn(parents.get(candidate) ?? 0));
  const own = [...parents.keys()].filter(isOwn);
  return Promise.all(own.map(async (each) => (await readProc(each, 'cmdline')).replaceAll('\0', ' ')));
};

/** The highest resident memory a process has had so far, in bytes; 0 when it has ended. */
export const peakMemoryBytes = async (pid: number): Promise<number> =>
  Number(/^VmHWM:\s+(\d+) kB$/m.exec(await readProc(pid, 'status'))?.[1] ?? 0) * 1024;
