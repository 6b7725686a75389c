import { orderMemberships } from './memberships.js';
import {
  checkClientEncoding,
  checkStatement,
  readIdentifier,
  readLiteral,
  scriptPatterns,
  splitScript,
  standardStrings,
} from './sql-script.js';

/** What `pg_dumpall --globals-only` writes, sorted. Statements are pg_dumpall's own, as bytes (`latin1`); names and paths are read as UTF-8. */
export interface Globals {
  /** What comes first: client encoding and the like. */
  readonly settings: readonly string[];
  readonly roles: readonly RoleStatement[];
  readonly tablespaces: readonly TablespaceStatement[];
  /** Of the roles that the script creates, in its order. */
  readonly roleNames: readonly string[];
  readonly tablespaceLocations: readonly { readonly name: string; readonly path: string }[];
}

/** A statement about roles: their creation, attributes, comments, settings, memberships. */
interface RoleStatement {
  readonly sql: string;
  /** Roles that the statement creates or changes: both of a membership. Empty where it grants on something else. */
  readonly roles: readonly string[];
}

interface TablespaceStatement {
  readonly sql: string;
  readonly tablespace: string;
}

const { identifier, literal } = scriptPatterns;
const pattern = (text: string): RegExp => new RegExp(`^${text.replaceAll('ID', `(${identifier})`)}`);

const settingForm = /^SET \w+ = /;
/** Scripts say themselves how literals are read: pg_dumpall's are the same either way. */
const stringForm = /^SET (?:standard_conforming_strings|escape_string_warning) = /;
const readOnlyForm = /^SET default_transaction_read_only = off;$/;
const roleForms = [
  pattern('(?:CREATE|ALTER) ROLE ID'),
  pattern('COMMENT ON ROLE ID'),
  pattern(`SECURITY LABEL FOR (?:${identifier}) ON ROLE ID`),
];
const membershipForm = pattern('GRANT ID TO ID');
const createTablespaceForm = new RegExp(`^CREATE TABLESPACE (${identifier}) OWNER (?:${identifier}) LOCATION (${literal})`);
const tablespaceForms = [
  pattern('(?:CREATE|ALTER) TABLESPACE ID'),
  pattern('COMMENT ON TABLESPACE ID'),
  pattern(`SECURITY LABEL FOR (?:${identifier}) ON TABLESPACE ID`),
  pattern('(?:GRANT|REVOKE) [A-Z ]+ ON TABLESPACE ID'),
];

/** Reads the script of `pg_dumpall --globals-only`. Errors: `tool_failed` for what cannot be pg_dumpall's. */
export const parseGlobals = (script: Buffer): Globals => {
  const settings: string[] = [];
  const roles: RoleStatement[] = [];
  const tablespaces: TablespaceStatement[] = [];
  const roleNames: string[] = [];
  const tablespaceLocations: { name: string; path: string }[] = [];
  // \restrict and \unrestrict are for a script that psql reads as a whole; no other command is among the statements that are taken over.
  for (const { text: sql } of splitScript(script.toString('latin1')).filter(({ isCommand }) => !isCommand)) {
    if (settingForm.test(sql)) {
      if (stringForm.test(sql)) continue;
      if (!readOnlyForm.test(sql)) checkClientEncoding(sql);
      settings.push(sql);
      continue;
    }
    checkStatement(sql);
    const tablespace = firstMatch(tablespaceForms, sql);
    if (tablespace === null) {
      const role = firstMatch(roleForms, sql);
      const membership = membershipForm.exec(sql);
      if (role !== null && sql.startsWith('CREATE ')) roleNames.push(role);
      roles.push({ sql, roles: role !== null ? [role] : (membership?.slice(1).map(toName) ?? []) });
      continue;
    }
    tablespaces.push({ sql, tablespace });
    const location = createTablespaceForm.exec(sql)?.[2];
    if (location !== undefined) tablespaceLocations.push({ name: tablespace, path: toUtf8(readLiteral(location)) });
  }
  return { settings, roles, tablespaces, roleNames, tablespaceLocations };
};

/**
 * `newer` with what `older` has besides: roles and tablespaces that are no more, but that were when some database was read. All that a statement names is in the result. Pure.
 */
export const mergeGlobals = (newer: Globals, older: Globals): Globals => {
  const roleNames = new Set(newer.roleNames);
  const tablespaceNames = new Set(newer.tablespaceLocations.map(({ name }) => name));
  const lostRoles = older.roles.filter(({ roles }) => roles.some((role) => !roleNames.has(role)));
  const roles = [...lostRoles, ...newer.roles];
  return {
    settings: newer.settings,
    roles: [...roles.filter((statement) => !isMembership(statement)), ...roles.filter(isMembership)],
    tablespaces: [...older.tablespaces.filter(({ tablespace }) => !tablespaceNames.has(tablespace)), ...newer.tablespaces],
    roleNames: [...newer.roleNames, ...older.roleNames.filter((name) => !roleNames.has(name))],
    tablespaceLocations: [...newer.tablespaceLocations, ...older.tablespaceLocations.filter(({ name }) => !tablespaceNames.has(name))],
  };
};

const isMembership = ({ sql }: RoleStatement): boolean => membershipForm.test(sql);

/** The script a backup holds, for psql: pg_dumpall's statements, memberships in an order that any server accepts. See `orderMemberships`. Pure. */
export const toStoredScript = ({ settings, roles, tablespaces }: Globals): Buffer => {
  const statements = roles.map(({ sql }) => sql);
  const all = [...settings, standardStrings, ...orderMemberships(statements, statements), ...tablespaces.map(({ sql }) => sql)];
  return Buffer.from(`${all.join('\n')}\n`, 'latin1');
};

/** What a target has already. */
export interface ExistingGlobals {
  readonly roles: ReadonlySet<string>;
  readonly tablespaces: ReadonlySet<string>;
  /** Rights to grant roles, as `toAdminKey`. */
  readonly admins: ReadonlySet<string>;
  /** Name of the bootstrap superuser, whom every server has. */
  readonly bootstrap: string;
}

/** Scripts that create what is not there yet. */
export interface GlobalsScripts {
  /** To be run in one transaction. */
  readonly roles: string;
  /** Null where there is nothing to do; not to be run in a transaction. */
  readonly tablespaces: string | null;
}

/**
 * What to run on a target: roles and tablespaces that are there are left as they are, but for memberships in roles that are new, and for settings and comment of
 * the bootstrap superuser, who is there before anybody could restore them. Pure.
 */
export const toGlobalsScripts = (globals: Globals, existing: ExistingGlobals): GlobalsScripts => {
  const join = (statements: readonly string[]): string => [...globals.settings, standardStrings, ...statements, ''].join('\n');
  const roles = globals.roles.filter(
    (statement) =>
      statement.roles.length === 0 ||
      statement.roles.some((role) => !existing.roles.has(role)) ||
      isOfBootstrap(statement, existing.bootstrap),
  );
  const tablespaces = globals.tablespaces.filter(({ tablespace }) => !existing.tablespaces.has(tablespace));
  return {
    roles: join(
      orderMemberships(
        roles.map(({ sql }) => sql),
        globals.roles.map(({ sql }) => sql),
        existing.admins,
      ),
    ),
    tablespaces: tablespaces.length === 0 ? null : join(tablespaces.map(({ sql }) => sql)),
  };
};

const bootstrapForm = new RegExp(
  `^(?:ALTER ROLE (?:${identifier}) (?:IN DATABASE (?:${identifier}) )?SET|COMMENT ON ROLE (?:${identifier}) IS) `,
);

const isOfBootstrap = ({ sql, roles }: RoleStatement, bootstrap: string): boolean =>
  roles.length === 1 && roles[0] === bootstrap && bootstrapForm.test(sql);

/** Whether the script has settings or a comment for the target's bootstrap superuser. */
export const hasBootstrapSettings = ({ roles }: Globals, { bootstrap }: ExistingGlobals): boolean =>
  roles.some((statement) => isOfBootstrap(statement, bootstrap));

const firstMatch = (forms: readonly RegExp[], sql: string): string | null => {
  for (const form of forms) {
    const name = form.exec(sql)?.[1];
    if (name !== undefined) return toName(name);
  }
  return null;
};

const toName = (text: string): string => toUtf8(readIdentifier(text));

const toUtf8 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
