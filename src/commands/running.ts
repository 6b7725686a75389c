import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { DbbackupError } from '../core/errors.js';
import { readJournal } from '../manifest/journal.js';
import type { Storage } from '../storage/storage.js';

/** The kernel tells process times in these on every Linux, whatever its own tick is. */
const ticksPerSecond = 100;

/** Boot time is told in whole seconds; a process cannot have started its run before itself by more than that. */
const clockToleranceMs = 2000;

/**
 * True when the process that writes this run is alive: its journal names a process of this machine, that process is older than the run, and the run has not told
 * its failure, after which a process that uses the library may live on.
 * A run of another machine is not recognised: false. Cost: reading the journal, and two files of /proc.
 */
export const isRunning = async (storage: Storage, id: string): Promise<boolean> => {
  const start = await readStart(storage, id);
  if (start === null || start.host !== hostname()) return false;
  const processStartMs = await readProcessStartMs(start.pid);
  return processStartMs !== null && processStartMs <= start.atMs + clockToleranceMs;
};

const readStart = async (
  storage: Storage,
  id: string,
): Promise<{ readonly pid: number; readonly host: string; readonly atMs: number } | null> => {
  try {
    const events = (await readJournal(storage, id))?.events ?? [];
    const [first] = events;
    return first?.type === 'backup.started' && events.at(-1)?.type !== 'run.failed' ? first : null;
  } catch (error) {
    // A journal nobody can read is nobody's who could go on with it.
    if (error instanceof DbbackupError && error.code === 'manifest_damaged') return null;
    throw error;
  }
};

/** When a process started, by the wall clock; null when there is none, or a dead one. */
const readProcessStartMs = async (pid: number): Promise<number | null> => {
  let processStat: string;
  let systemStat: string;
  try {
    [processStat, systemStat] = await Promise.all([readFile(`/proc/${pid}/stat`, 'latin1'), readFile('/proc/stat', 'latin1')]);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return null;
    throw error;
  }
  // proc(5): the fields after the name in parentheses, which may hold anything, begin with the third; starttime is the 22nd.
  const fields = processStat.slice(processStat.lastIndexOf(')') + 2).split(' ');
  const bootSeconds = Number(/^btime (\d+)$/m.exec(systemStat)?.[1]);
  const startMs = (bootSeconds + Number(fields[19]) / ticksPerSecond) * 1000;
  return fields[0] === 'Z' || fields[0] === 'X' || Number.isNaN(startMs) ? null : startMs;
};
