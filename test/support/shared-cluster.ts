import { type Cluster, type ClusterCoordinates, startCluster, toCluster } from './cluster.js';

/** Name of the environment variable by which a test run hands its cluster to its test files. */
export const sharedClusterVariable = 'DBBACKUP_TEST_CLUSTER';

/** The cluster of a whole test run, with TLS and password roles, and its coordinates as the variable’s value. */
export const startSharedCluster = async (): Promise<Cluster & { readonly coordinates: string }> => {
  const cluster = await startCluster({ isTls: true });
  const { version, binDir, host, port, caPath, dataDir, logPath, pid } = cluster;
  return {
    ...cluster,
    coordinates: JSON.stringify({ version, binDir, host, port, caPath, dataDir, logPath, pid } satisfies Record<
      keyof ClusterCoordinates,
      unknown
    >),
  };
};

let shared: Promise<Cluster> | undefined;

const findSharedCluster = async (): Promise<Cluster> => {
  const coordinates = process.env[sharedClusterVariable];
  // A test file run alone has a cluster of its own, which ends with its process.
  return coordinates === undefined ? startSharedCluster() : toCluster(JSON.parse(coordinates) as ClusterCoordinates);
};

/** The cluster that all test files of a run use. Tests leave nothing behind in it but what `withDatabase` removes. */
export const sharedCluster = (): Promise<Cluster> => (shared ??= findSharedCluster());
