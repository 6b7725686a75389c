import { DbbackupError } from '../core/errors.js';
import { processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { type ExistingGlobals, type Globals, hasBootstrapSettings, parseGlobals, toGlobalsScripts } from '../tools/globals-script.js';
import { toAdminKey } from '../tools/memberships.js';
import { runScript } from '../tools/run-script.js';
import type { Tool } from '../tools/tool.js';
import { toLoadingConnection } from './restore-parts.js';

export interface RestoreGlobalsParts {
  /** Connected to the target. */
  readonly session: Session;
  readonly psql: Tool;
  readonly signal: AbortSignal | undefined;
}

/** What is to be done about a backup's roles and tablespaces on a target. */
export interface GlobalsPlan {
  readonly globals: Globals;
  readonly existing: ExistingGlobals;
  /** What is left as it is. */
  readonly notices: readonly string[];
}

/**
 * Reads the script of roles and tablespaces and compares it with the target, which is not changed. Errors: `io_error` naming a tablespace whose directory is not there
 * or is another tablespace's.
 */
export const planGlobals = async (session: Session, script: Buffer, areTablespacesLeftOut: boolean): Promise<GlobalsPlan> => {
  const parsed = parseGlobals(script);
  const globals = areTablespacesLeftOut ? { ...parsed, tablespaces: [], tablespaceLocations: [] } : parsed;
  const existing = await readExisting(session);
  for (const { name, path } of globals.tablespaceLocations) {
    if (!existing.tablespaces.has(name)) await checkDirectory(session, name, path);
  }
  const notices = [
    ...globals.roleNames
      .filter((name) => existing.roles.has(name))
      .map((name) => {
        const isChanged = name === existing.bootstrap && hasBootstrapSettings(globals, existing);
        return `role ${JSON.stringify(name)} exists already and is left as it is${isChanged ? ', but for its settings and comment' : ''}`;
      }),
    ...globals.tablespaceLocations
      .filter(({ name }) => existing.tablespaces.has(name))
      .map(({ name }) => `tablespace ${JSON.stringify(name)} exists already and is left as it is`),
  ];
  return { globals, existing, notices };
};

/** Creates what is missing, roles all or none, and proves that everything is there. Resolves with warnings. Errors: `tool_failed` naming what the server says. */
export const restoreGlobals = async (parts: RestoreGlobalsParts, { globals, existing }: GlobalsPlan): Promise<readonly string[]> => {
  const { session, psql, signal } = parts;
  const { roles, tablespaces } = toGlobalsScripts(globals, existing);
  const base = { psql, connection: toLoadingConnection(session), host: processHost, signal };
  const warnings = [
    ...(await runScript({ ...base, object: 'roles', script: roles, isTransaction: true })),
    ...(tablespaces === null ? [] : await runScript({ ...base, object: 'tablespaces', script: tablespaces, isTransaction: false })),
  ];
  const found = await readExisting(session);
  const missing = [
    ...globals.roleNames.filter((name) => !found.roles.has(name)).map((name) => `role ${JSON.stringify(name)}`),
    ...globals.tablespaceLocations
      .filter(({ name }) => !found.tablespaces.has(name))
      .map(({ name }) => `tablespace ${JSON.stringify(name)}`),
  ];
  if (missing.length > 0)
    throw new DbbackupError('tool_failed', `${missing.join(', ')} was not created`, { details: { object: missing[0] ?? '' } });
  return warnings;
};

const readExisting = async (session: Session): Promise<ExistingGlobals> => {
  const read = async (sql: string): Promise<readonly string[]> => (await session.query(sql)).rows.map(([name]) => name ?? '');
  const admins = await session.query(
    `SELECT r.rolname, m.rolname FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member
    WHERE a.admin_option`,
  );
  return {
    roles: new Set(await read('SELECT rolname FROM pg_catalog.pg_roles')),
    tablespaces: new Set(await read('SELECT spcname FROM pg_catalog.pg_tablespace')),
    admins: new Set(admins.rows.map(([role, member]) => toAdminKey(toBytes(role ?? ''), toBytes(member ?? '')))),
    // Its OID is the same in every cluster.
    bootstrap: (await read('SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10'))[0] ?? '',
  };
};

/** As scripts hold it: a character for each byte. */
const toBytes = (name: string): string => Buffer.from(name, 'utf8').toString('latin1');

/**
 * An empty path is a directory within the data directory, which the server makes itself. Who may not look cannot create tablespaces either: the server says so. A server
 * makes a directory of its own version within a tablespace's, and takes none that holds one.
 */
const checkDirectory = async (session: Session, name: string, path: string): Promise<void> => {
  if (path === '') return;
  const refuse = (what: string, advice: string): never => {
    throw new DbbackupError('io_error', `tablespace ${JSON.stringify(name)} needs the directory ${path}, ${what}`, {
      details: { object: name, path, hint: `${advice}, or restore with --no-tablespaces.` },
    });
  };
  const mayLook = `SELECT pg_catalog.has_function_privilege('pg_catalog.pg_stat_file(text, boolean)', 'EXECUTE')
    AND pg_catalog.has_function_privilege('pg_catalog.pg_ls_dir(text)', 'EXECUTE')`;
  if ((await session.query(mayLook)).rows[0]?.[0] !== 't') return;
  const { rows } = await session.query('SELECT (pg_catalog.pg_stat_file($1, true)).isdir', [path]);
  if (rows[0]?.[0] !== 't') refuse('which is not there on the server', 'Create it, owned by the server’s user and empty');
  const others = await session.query(
    `SELECT f FROM pg_catalog.pg_ls_dir($1) f WHERE f ~ ('^PG_' || pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000 || '_')`,
    [path],
  );
  if (others.rows.length > 0) refuse(`which is in use by another tablespace: it holds ${others.rows[0]?.[0]}`, 'Empty it');
};
