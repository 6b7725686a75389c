import type { ConnectionSpec } from '#src/native/session.js';
import { openSession, type Session } from '#src/native/session.js';
import type { Cluster } from '../../support/cluster.js';
import { type Login, toConnectionEnv } from '../../support/login.js';

const keywords: Readonly<Record<string, string>> = {
  PGHOST: 'host',
  PGPORT: 'port',
  PGUSER: 'user',
  PGDATABASE: 'dbname',
  PGPASSWORD: 'password',
  PGSSLMODE: 'sslmode',
  PGSSLROOTCERT: 'sslrootcert',
};

/** Connection parameters of a database as the addon takes them. */
export const connectionTo = (cluster: Cluster, database: string, login?: Login): ConnectionSpec => {
  const entries = Object.entries(toConnectionEnv(cluster, database, login)).map(
    ([name, value]) => [keywords[name] ?? name, value] as const,
  );
  return { keywords: entries.map(([keyword]) => keyword), values: entries.map(([, value]) => value) };
};

/** Runs `fn` with an open session and closes it afterwards. */
export const withSession = async <T>(connection: ConnectionSpec, fn: (session: Session) => Promise<T>): Promise<T> => {
  const session = await openSession(connection);
  try {
    return await fn(session);
  } finally {
    await session.close();
  }
};
