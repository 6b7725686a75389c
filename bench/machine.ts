import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { toCpuSeconds } from './cpu-time.js';

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

/** Core seconds of the whole machine since boot: busy ones, those a hypervisor took, and all. */
export interface MachineCpu {
  readonly busySeconds: number;
  readonly stolenSeconds: number;
  readonly totalSeconds: number;
}

/** First line of /proc/stat: user nice system idle iowait irq softirq steal. */
export const readMachineCpu = (): MachineCpu => {
  const line = readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '';
  const seconds = line.split(/\s+/).slice(1).map(toCpuSeconds);
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, stolen = 0] = seconds;
  const busySeconds = user + nice + system + irq + softirq + stolen;
  return { busySeconds, stolenSeconds: stolen, totalSeconds: busySeconds + idle + wait };
};

/** The share of all cores' time, 0 to 1, that others use while this process waits for half a second. */
export const measureIdleLoad = async (): Promise<number> => {
  const before = readMachineCpu();
  await sleep(500);
  const after = readMachineCpu();
  return (after.busySeconds - before.busySeconds) / (after.totalSeconds - before.totalSeconds);
};
