import { toLiteral } from '../catalog/names.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import { openSession, type Session } from '../native/session.js';
import { toConnectionSpec } from './connect.js';
import type { ConnectionOptions } from './options.js';

export interface SessionSettings {
  readonly applicationName: string;
  readonly signal?: AbortSignal | undefined;
  /** Connection parameters that override all others, for example `{ dbname: 'postgres' }`. */
  readonly overrides?: Readonly<Record<string, string>>;
}

/** Runs `use` with an open control session, of the role that the options name, and closes it. */
export const withSession = async <T>(
  connection: ConnectionOptions,
  settings: SessionSettings,
  use: (session: Session) => Promise<T>,
): Promise<T> => {
  const session = await openSession(toConnectionSpec(connection, settings.applicationName, settings.overrides), {
    signal: settings.signal,
  });
  try {
    if (connection.role !== undefined) await becomeRole(session, connection.role);
    return await use(session);
  } finally {
    await session.close();
  }
};

/** Errors: `role_missing`, which the server tells as a value that is not valid; the server's for a role that may not be taken. */
const becomeRole = async (session: Session, role: string): Promise<void> => {
  try {
    await session.query("SELECT pg_catalog.set_config('role', $1, false)", [role]);
  } catch (error) {
    const failure = toDbbackupError(error);
    if (failure.details.sqlstate !== '22023') throw failure;
    throw new DbbackupError('role_missing', failure.message, {
      cause: error,
      details: { ...failure.details, object: role, hint: 'Name a role of the server with --role, or leave --role out.' },
    });
  }
};

/** What a worker's session starts with, to be the same role; for one whose `client_encoding` will be `encoding`. */
export const toRoleSql = ({ role }: ConnectionOptions, encoding: string): readonly string[] =>
  role === undefined ? [] : [`SELECT pg_catalog.set_config('role', ${toLiteral(role, encoding)}, false)`];

/** Parameters that lead to the very server `session` is connected to, where the options name several hosts. */
export const toSameServer = (session: Pick<Session, 'info'>): Readonly<Record<string, string>> => {
  const { host, port, options } = session.info();
  return (options['host'] ?? '').includes(',') ? { host, port, hostaddr: '' } : {};
};
