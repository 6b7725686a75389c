import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DbbackupError } from '../core/errors.js';
import { processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { type Globals, parseGlobals, toGlobalsScripts } from '../tools/globals-script.js';
import { runScript } from '../tools/run-script.js';
import { type Tool, toToolConnection } from '../tools/tool.js';

export interface RestoreGlobalsParts {
  /** Connected to the target. */
  readonly session: Session;
  readonly psql: Tool;
  /** Private directory. */
  readonly scratch: string;
  readonly signal: AbortSignal | undefined;
}

/** Roles and tablespaces of a target. */
interface ExistingGlobals {
  readonly roles: ReadonlySet<string>;
  readonly tablespaces: ReadonlySet<string>;
}

/** What is to be done about a backup's roles and tablespaces on a target. */
export interface GlobalsPlan {
  readonly globals: Globals;
  readonly existing: ExistingGlobals;
  /** What is left as it is. */
  readonly notices: readonly string[];
}

/**
 * Reads the script of roles and tablespaces and compares it with the target, which is not changed. Errors: `io_error` naming a tablespace whose directory is not there.
 */
export const planGlobals = async (session: Session, scriptPath: string, areTablespacesLeftOut: boolean): Promise<GlobalsPlan> => {
  const parsed = parseGlobals(await readFile(scriptPath));
  const globals = areTablespacesLeftOut ? { ...parsed, tablespaces: [], tablespaceLocations: [] } : parsed;
  const existing = await readExisting(session);
  for (const { name, path } of globals.tablespaceLocations) {
    if (!existing.tablespaces.has(name)) await checkDirectory(session, name, path);
  }
  const notices = [
    ...globals.roleNames
      .filter((name) => existing.roles.has(name))
      .map((name) => `role ${JSON.stringify(name)} exists already and is left as it is`),
    ...globals.tablespaceLocations
      .filter(({ name }) => existing.tablespaces.has(name))
      .map(({ name }) => `tablespace ${JSON.stringify(name)} exists already and is left as it is`),
  ];
  return { globals, existing, notices };
};

/** Creates what is missing, roles all or none, and proves that everything is there. Resolves with warnings. Errors: `tool_failed` naming what the server says. */
export const restoreGlobals = async (parts: RestoreGlobalsParts, { globals, existing }: GlobalsPlan): Promise<readonly string[]> => {
  const { session, psql, scratch, signal } = parts;
  const { roles, tablespaces } = toGlobalsScripts(globals, existing);
  const base = { psql, connection: toToolConnection(session), host: processHost, signal };
  const warnings = [
    ...(await runScript({ ...base, object: 'roles', script: roles, scriptPath: join(scratch, 'roles.sql'), isTransaction: true })),
    ...(tablespaces === null
      ? []
      : await runScript({
          ...base,
          object: 'tablespaces',
          script: tablespaces,
          scriptPath: join(scratch, 'tablespaces.sql'),
          isTransaction: false,
        })),
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
  const read = async (sql: string): Promise<ReadonlySet<string>> => new Set((await session.query(sql)).rows.map(([name]) => name ?? ''));
  return {
    roles: await read('SELECT rolname FROM pg_catalog.pg_roles'),
    tablespaces: await read('SELECT spcname FROM pg_catalog.pg_tablespace'),
  };
};

/** An empty path is a directory within the data directory, which the server makes itself. Who may not look cannot create tablespaces either: the server says so. */
const checkDirectory = async (session: Session, name: string, path: string): Promise<void> => {
  if (path === '') return;
  const mayLook = "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_stat_file(text, boolean)', 'EXECUTE')";
  if ((await session.query(mayLook)).rows[0]?.[0] !== 't') return;
  const { rows } = await session.query('SELECT (pg_catalog.pg_stat_file($1, true)).isdir', [path]);
  if (rows[0]?.[0] === 't') return;
  throw new DbbackupError('io_error', `tablespace ${JSON.stringify(name)} needs the directory ${path}, which is not there on the server`, {
    details: {
      object: name,
      path,
      hint: 'Create it, owned by the server’s user and empty, or restore with --no-tablespaces.',
    },
  });
};
