import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { processId } from '../native/host.js';

/** A process as nothing else is it, on any machine, at any time: its number comes again. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Of the machine's last start; empty where the kernel does not tell. */
  readonly bootId: string;
  /** When the process began, in the kernel's ticks since that start; decimal text. */
  readonly startTicks: string;
}

/** This process. Cost: two files of /proc. */
export const identifySelf = async (): Promise<ProcessIdentity> => ({
  pid: processId,
  host: hostname(),
  bootId: await readBootId(),
  startTicks: (await readStartTicks(processId)) ?? '',
});

/** `alive` or `dead` for a process of this machine; `elsewhere` for one of another, which nothing here can tell anything about. */
export const findProcess = async (known: ProcessIdentity): Promise<'alive' | 'dead' | 'elsewhere'> => {
  if (known.host !== hostname()) return 'elsewhere';
  if (known.bootId !== (await readBootId())) return 'dead';
  const startTicks = await readStartTicks(known.pid);
  return startTicks !== null && startTicks === known.startTicks ? 'alive' : 'dead';
};

const readBootId = async (): Promise<string> => ((await readProc('/proc/sys/kernel/random/boot_id')) ?? '').trim();

/** Null when there is no such process, or a dead one that nobody has waited for. */
const readStartTicks = async (pid: number): Promise<string | null> => {
  const stat = await readProc(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // proc(5): the fields after the name in parentheses, which may hold anything, begin with the third; starttime is the 22nd.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
};

const readProc = async (path: string): Promise<string | null> => {
  try {
    return await readFile(path, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return null;
    throw error;
  }
};
