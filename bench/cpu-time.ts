import { readFileSync } from 'node:fs';

/** Clock ticks per second in /proc: USER_HZ, 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** Fields of /proc/PID/stat from `state` on; the name before it may hold blanks. */
const readStatFields = (pid: number | 'self'): readonly number[] => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
};

/** CPU seconds of this process's children that have ended, and of theirs. */
export const readChildrenCpuSeconds = (): number => {
  const fields = readStatFields('self');
  return ((fields[13] ?? 0) + (fields[14] ?? 0)) / ticksPerSecond;
};

/** CPU seconds of a server: its postmaster and all backends that have ended. */
export const readServerCpuSeconds = (postmasterPid: number): number => {
  const fields = readStatFields(postmasterPid);
  return fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0) / ticksPerSecond;
};
