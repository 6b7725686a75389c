import { readFileSync } from 'node:fs';

/** Clock ticks per second in /proc: USER_HZ, 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

export const toCpuSeconds = (ticks: number | string): number => Number(ticks) / ticksPerSecond;

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
  return toCpuSeconds((fields[13] ?? 0) + (fields[14] ?? 0));
};

/** CPU seconds of a server: its postmaster, its processes, and all backends that have ended. */
export const readServerCpuSeconds = (postmasterPid: number): number => {
  const sumTicks = (pid: number): number =>
    readStatFields(pid)
      .slice(11, 15)
      .reduce((sum, ticks) => sum + ticks, 0);
  const processes = readFileSync(`/proc/${postmasterPid}/task/${postmasterPid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
  const ticks = processes.map((pid) => {
    try {
      return sumTicks(pid);
    } catch {
      // It has ended since it was listed; the postmaster's own figure has it now.
      return 0;
    }
  });
  return toCpuSeconds(ticks.reduce((sum, one) => sum + one, sumTicks(postmasterPid)));
};

/** CPU seconds of this process itself. */
export const readOwnCpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
