import { env, kill, memoryUsage, pid, resourceUsage } from 'node:process';

/** Resident memory of this process, in bytes: now, and at its highest so far. */
export const measureMemory = (): { readonly rssBytes: number; readonly peakRssBytes: number } => ({
  rssBytes: memoryUsage.rss(),
  peakRssBytes: resourceUsage().maxRSS * 1024,
});

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
};

/** This process, as its machine numbers it. */
export const processId = pid;
