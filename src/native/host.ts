import process, { env, kill, memoryUsage, pid, resourceUsage } from 'node:process';

/** Resident memory of this process, in bytes: now, and at its highest so far. */
export const measureMemory = (): { readonly rssBytes: number; readonly peakRssBytes: number } => ({
  rssBytes: memoryUsage.rss(),
  peakRssBytes: resourceUsage().maxRSS * 1024,
});

/** One listener for all: Node takes many for a leak. */
const exitListeners = new Set<() => void>();
const callExitListeners = (): void => {
  for (const listener of exitListeners) listener();
};

/** What this process lends to child programs: its environment, and the means to end them with their children. */
export const processHost = {
  environment: env,
  signalGroup: (pid: number, signal: 'SIGTERM' | 'SIGKILL'): void => {
    try {
      kill(-pid, signal);
    } catch (error) {
      // The group has ended meanwhile, which is what was asked for.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  },
  onExit: (listener: () => void): (() => void) => {
    if (exitListeners.size === 0) process.on('exit', callExitListeners);
    exitListeners.add(listener);
    return () => {
      exitListeners.delete(listener);
      if (exitListeners.size === 0) process.off('exit', callExitListeners);
    };
  },
};

/** This process, as its machine numbers it. */
export const processId = pid;
