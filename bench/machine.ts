import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Machine {
  readonly cpu: string;
  readonly coreCount: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly fileSystem: string;
}

const fileSystemNames: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlayfs'],
  [0x6969, 'nfs'],
  [0x2fc12fc1, 'zfs'],
]);

export const describeMachine = async (directory: string): Promise<Machine> => {
  const { type } = await statfs(directory);
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    coreCount: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    fileSystem: fileSystemNames.get(type) ?? `0x${type.toString(16)}`,
  };
};

/** Clock ticks of all cores since boot: busy ones, those a hypervisor took, and all. */
interface CpuTicks {
  readonly busy: number;
  readonly stolen: number;
  readonly total: number;
}

/** First line of /proc/stat: user nice system idle iowait irq softirq steal. */
const readCpuTicks = (): CpuTicks => {
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, stolen = 0] = (
    readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? ''
  )
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const busy = user + nice + system + irq + softirq + stolen;
  return { busy, stolen, total: busy + idle + wait };
};

const toShare = (part: number, total: number): number => (total > 0 ? part / total : 0);

/** The share of all cores' time, 0 to 1, that others use while this process waits for half a second. */
export const measureForeignLoad = async (): Promise<number> => {
  const before = readCpuTicks();
  await sleep(500);
  const after = readCpuTicks();
  return toShare(after.busy - before.busy, after.total - before.total);
};

/** Starts to count the share of time, 0 to 1, that the hypervisor takes from this machine. */
export const startStealMeter = (): (() => number) => {
  const before = readCpuTicks();
  return () => {
    const after = readCpuTicks();
    return toShare(after.stolen - before.stolen, after.total - before.total);
  };
};
