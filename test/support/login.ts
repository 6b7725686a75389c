/** Who connects and on which way: the Unix socket, plain TCP to 127.0.0.1, or TLS to `localhost` with the certificate verified. Default: `postgres` by socket. */
export interface Login {
  readonly user?: string;
  readonly password?: string;
  readonly via?: 'socket' | 'tcp' | 'tls';
}

/** May read everything and owns nothing; must come through TLS with its password (SCRAM). Present on clusters with TLS. */
export const tlsLogin = { user: 'tls_user', password: 'tls-user-password', via: 'tls' } as const satisfies Login;
/** May read everything and owns nothing; must give its password (SCRAM) on TCP. */
export const scramLogin = { user: 'scram_user', password: 'scram-user-password', via: 'tcp' } as const satisfies Login;
/** The superuser by TCP, where a cluster started with `auth: 'scram-sha-256'` asks for its password. */
export const superuserLogin = { user: 'postgres', password: 'superuser-password', via: 'tcp' } as const satisfies Login;

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly caPath?: string;
}

/** libpq’s `PG*` variables for one database. */
export const toConnectionEnv = (address: Address, database: string, login: Login = {}): Readonly<Record<string, string>> => {
  const via = login.via ?? 'socket';
  if (via === 'tls' && address.caPath === undefined) throw new Error('the cluster was started without TLS');
  return {
    PGHOST: via === 'socket' ? address.host : via === 'tcp' ? '127.0.0.1' : 'localhost',
    PGPORT: String(address.port),
    PGUSER: login.user ?? 'postgres',
    PGDATABASE: database,
    ...(login.password === undefined ? {} : { PGPASSWORD: login.password }),
    ...(via === 'tls' && address.caPath !== undefined ? { PGSSLMODE: 'verify-full', PGSSLROOTCERT: address.caPath } : {}),
  };
};

const uriParameters: Readonly<Record<string, string>> = {
  PGHOST: 'host',
  PGPORT: 'port',
  PGSSLMODE: 'sslmode',
  PGSSLROOTCERT: 'sslrootcert',
  PGPASSWORD: 'password',
};

/** The same as a connection URI, password included. */
export const toConnectionUri = (address: Address, database: string, login: Login = {}): string => {
  const env = toConnectionEnv(address, database, login);
  const parameters = Object.entries(env).flatMap(([name, value]) => {
    const parameter = uriParameters[name];
    return parameter === undefined ? [] : [`${parameter}=${encodeURIComponent(value)}`];
  });
  return `postgresql://${encodeURIComponent(env['PGUSER'] ?? '')}@/${encodeURIComponent(database)}?${parameters.join('&')}`;
};

/** `env` without libpq’s variables, so that nobody’s own settings reach a test. */
export const withoutConnectionEnv = (env: NodeJS.ProcessEnv): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !/^PG[A-Z]/.test(name)));
