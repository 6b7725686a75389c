import { type Cluster, type ClusterOptions, startCluster } from '../test/support/cluster.js';

/**
 * Runs `run` on a new durable cluster (fsync on) whose data lie below `baseDir`. An abort stops the server at once, which ends whatever talks to it;
 * when this returns, the server has stopped and its directories are gone.
 */
export const withServer = async <T>(
  options: Pick<ClusterOptions, 'settings' | 'version'> & { readonly baseDir: string },
  signal: AbortSignal,
  run: (cluster: Cluster) => Promise<T>,
): Promise<T> => {
  signal.throwIfAborted();
  const cluster = await startCluster({ ...options, isDurable: true });
  const stop = (): void => {
    // Awaited below: a second call waits for the first.
    void cluster.stop({ mode: 'immediate' });
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    return await run(cluster);
  } finally {
    signal.removeEventListener('abort', stop);
    // Nothing in it is kept, so nothing needs to be flushed.
    await cluster.stop({ mode: 'immediate' });
  }
};
