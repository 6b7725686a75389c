import { randomBytes } from 'node:crypto';
import type { Cluster } from './cluster.js';

/** A database name that nothing else uses. */
export const uniqueDatabaseName = (stem = 'test'): string => `${stem}_${process.pid}_${randomBytes(4).toString('hex')}`;

/** Runs `fn` with a new, empty database of its own and drops it afterwards. `options` follow CREATE DATABASE’s name. */
export const withDatabase = async <T>(cluster: Cluster, fn: (database: string) => Promise<T>, options?: string): Promise<T> => {
  const database = uniqueDatabaseName();
  await cluster.createDatabase(database, options);
  try {
    return await fn(database);
  } finally {
    await cluster.dropDatabase(database);
  }
};
