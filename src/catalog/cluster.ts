import { DbbackupError } from '../core/errors.js';
import { parseNamePattern, toServerRegex } from '../core/name-pattern.js';
import { type QuerySession, queryRow, toFlag, toNumber, toText } from './rows.js';

/** As pg_dumpall takes them: template1 first; template0 never, whatever it allows. -2 is what a DROP DATABASE leaves that was interrupted. */
const databasesQuery = `SELECT d.datname, pg_catalog.quote_ident(d.datname), pg_catalog.has_database_privilege(d.oid, 'CONNECT'), pg_catalog.quote_ident(CURRENT_USER),
  CASE WHEN d.datconnlimit = -2 THEN 'a DROP DATABASE of it was interrupted' WHEN NOT d.datallowconn THEN 'it allows no connections' END
FROM pg_catalog.pg_database d WHERE d.datname <> 'template0'
ORDER BY d.datname <> 'template1', d.datname COLLATE "C"`;

/** A database that no pattern excludes and that cannot be read. */
export interface LeftOutDatabase {
  readonly name: string;
  readonly reason: string;
}

export interface DatabaseList {
  /** To be saved; at least one. */
  readonly names: readonly string[];
  readonly leftOut: readonly LeftOutDatabase[];
}

/**
 * The databases a backup of a cluster saves. Errors: `usage` when the patterns leave none, `permission_denied` naming those that this role may not connect to.
 */
export const listDatabases = async (session: QuerySession, excluded: readonly string[]): Promise<DatabaseList> => {
  const { rows } = await session.query(databasesQuery);
  const left = new Set(
    await excludeNames(
      session,
      rows.map((row) => toText(row, 0)),
      excluded,
    ),
  );
  const wanted = rows.filter((row) => left.has(toText(row, 0)));
  const chosen = wanted.filter((row) => row[4] === null);
  const leftOut = wanted.flatMap((row) => (row[4] === null ? [] : [{ name: toText(row, 0), reason: toText(row, 4) }]));
  if (chosen.length === 0) throw new DbbackupError('usage', `no database is left: ${leftOut[0]?.name ?? ''} cannot be read`);
  const denied = chosen.filter((row) => !toFlag(row, 2));
  if (denied.length > 0) {
    const [first = []] = denied;
    const names = denied.map((row) => toText(row, 1)).join(', ');
    throw new DbbackupError('permission_denied', `role ${toText(first, 3)} may not connect to ${names}`, {
      details: {
        object: toText(first, 0),
        hint: `Run: GRANT CONNECT ON DATABASE ${names} TO ${toText(first, 3)}; or leave it out with --exclude-database.`,
      },
    });
  }
  return { names: chosen.map((row) => toText(row, 0)), leftOut };
};

/** The names that no pattern matches, by the server's own regular expressions. Errors: `usage` for what is no pattern of names, and when none is left. */
export const excludeNames = async (
  session: QuerySession,
  names: readonly string[],
  patterns: readonly string[],
): Promise<readonly string[]> => {
  const regexes = patterns.map(toDatabaseRegex);
  const matched = new Set<string>();
  for (const regex of regexes) {
    for (const name of names) {
      // Prepared statements of one value each: an array literal would have to be quoted.
      const row = (
        await session.query('SELECT $1::pg_catalog.text COLLATE "default" OPERATOR(pg_catalog.~) $2::pg_catalog.text', [name, regex])
      ).rows[0];
      if (row?.[0] === 't') matched.add(name);
    }
  }
  const left = names.filter((name) => !matched.has(name));
  if (left.length > 0) return left;
  throw new DbbackupError(
    'usage',
    names.length === 0 ? 'there is no database' : `--exclude-database leaves none of ${names.length} databases`,
  );
};

const toDatabaseRegex = (pattern: string): string => {
  const { schema, name } = parseNamePattern(pattern, 'table');
  if (schema !== null || name.length === 0)
    throw new DbbackupError('usage', `${JSON.stringify(pattern)} is no pattern of databases`, {
      details: { object: pattern, hint: 'Put a name that holds a dot into double quotes.' },
    });
  return toServerRegex(name);
};

/** Connections a server has left for this role. Who may not see what other sessions do still sees that they are there. */
const headRoomQuery = `SELECT least(
  pg_catalog.current_setting('max_connections')::int8 - pg_catalog.current_setting('superuser_reserved_connections')::int8
    - coalesce(nullif(pg_catalog.current_setting('reserved_connections', true), ''), '0')::int8
    - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL),
  (SELECT CASE WHEN r.rolconnlimit < 0 OR r.rolsuper THEN 2147483647 ELSE r.rolconnlimit
    - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = r.oid) END
   FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER))`;

export const readHeadRoom = async (session: QuerySession): Promise<number> => toNumber(await queryRow(session, headRoomQuery), 0);

/** True when this role may read the hashes of passwords. */
export const canReadPasswords = async (session: QuerySession): Promise<boolean> =>
  toFlag(await queryRow(session, "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')"), 0);
