import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The most memory a process and its descendants held. */
export interface PeakMemory {
  /** Of the largest single process: the kernel's high-water mark (VmHWM), read until the process ended. */
  readonly processBytes: number;
  /**
   * Of all processes together at one moment. Memory shared after a fork counts once, and so do the pages of a program and its libraries, but these in full:
   * what other programs on the machine share with them is no merit of theirs.
   */
  readonly treeBytes: number;
}

const intervalMs = 50;

/** What `read` returns, or an empty string once the process has ended. */
const readOrEmpty = (read: () => string): string => {
  try {
    return read();
  } catch {
    return '';
  }
};

const readText = (path: string): string => readOrEmpty(() => readFileSync(path, 'latin1'));

const readKilobytes = (text: string, field: string): number =>
  1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);

const listChildren = (pid: number): readonly number[] => {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readText(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
    );
  } catch {
    // The process has ended.
    return [];
  }
};

const listTree = (pid: number): readonly number[] => [pid, ...listChildren(pid).flatMap(listTree)];

const sampleTree = (root: number): PeakMemory => {
  let processBytes = 0;
  let ownBytes = 0;
  const programBytes = new Map<string, number>();
  for (const pid of listTree(root)) {
    const status = readText(`/proc/${pid}/status`);
    processBytes = Math.max(processBytes, readKilobytes(status, 'VmHWM'));
    ownBytes += readKilobytes(readText(`/proc/${pid}/smaps_rollup`), 'Pss_Anon');
    const program = readOrEmpty(() => readlinkSync(`/proc/${pid}/exe`));
    programBytes.set(program, Math.max(programBytes.get(program) ?? 0, readKilobytes(status, 'RssFile')));
  }
  return { processBytes, treeBytes: [...programBytes.values()].reduce((sum, bytes) => sum + bytes, ownBytes) };
};

/** Starts to sample `pid` and its descendants 20 times a second; `stop` ends that and returns the peaks. */
export const startMemorySampler = (pid: number): { readonly stop: () => PeakMemory } => {
  let peak: PeakMemory = { processBytes: 0, treeBytes: 0 };
  const timer = setInterval(() => {
    const { processBytes, treeBytes } = sampleTree(pid);
    peak = { processBytes: Math.max(peak.processBytes, processBytes), treeBytes: Math.max(peak.treeBytes, treeBytes) };
  }, intervalMs);
  return {
    stop: () => {
      clearInterval(timer);
      return peak;
    },
  };
};
