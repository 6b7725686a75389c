import { randomBytes } from 'node:crypto';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import type { ManifestDatabase } from '../manifest/schema.js';
import { databaseOf } from '../native/connection-info.js';
import type { Session } from '../native/session.js';
import { checkDroppable } from './droppable.js';
import type { ConnectionOptions, RestoreOptions } from './options.js';
import { type SessionSettings, withSession } from './sessions.js';

/** Databases every server has: one must be connected to while another is created. */
const maintenanceDatabases = ['postgres', 'template1'] as const;

/**
 * Creates the target database where the options ask for it; with `isCleaning` the old one is dropped, after `checkFeasible` has passed and the new one could be
 * created. `checkFeasible` gets the server's version and throws when the restore could not go on. Errors: `usage`, `target_exists`, the server's.
 */
export const prepareTarget = async (
  options: RestoreOptions,
  source: ManifestDatabase,
  checkFeasible: (serverVersion: number) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const isCleaning = options.isCleaning === true;
  if (isCleaning && options.isConfirmed !== true) {
    throw new DbbackupError('usage', 'dropping the target database needs consent', { details: { hint: 'Set isConfirmed, or --yes.' } });
  }
  if (!isCleaning && options.isCreating !== true) return;
  const name = databaseOf(options.connection.database);
  await withMaintenance(options.connection, { applicationName: 'dbbackup', signal }, async (session) => {
    const exists = (await session.query('SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1', [name])).rows.length > 0;
    // Whether there is anything to go on with is found out in it.
    if (exists && options.isResuming === true) return;
    if (exists && !isCleaning)
      throw new DbbackupError('target_exists', `database ${JSON.stringify(name)} exists already`, { details: { object: name } });
    await checkFeasible(session.info().serverVersion);
    if (exists) await checkDroppable(session, name);
    if (exists) await replaceDatabase(session, options.connection, name, source);
    else await session.query(await createStatement(session, name, source));
  });
};

/** The old database goes once the new one is created, before its contents are restored. */
const replaceDatabase = async (session: Session, connection: ConnectionOptions, name: string, source: ManifestDatabase): Promise<void> => {
  const newName = `dbbackup_new_${randomBytes(6).toString('hex')}`;
  const createSql = await createStatement(session, newName, source);
  const dropSql = await formatSql(session, 'DROP DATABASE %I', [name]);
  try {
    await session.query(createSql);
    await session.query(dropSql);
  } catch (error) {
    const second = await settleNames(connection, name, newName).then(
      () => null,
      (failure: unknown) => toDbbackupError(failure),
    );
    if (second === null) throw error;
    const first = toDbbackupError(error);
    throw new DbbackupError(first.code, first.message, { cause: error, details: { ...first.details, later: [second] } });
  }
  await settleNames(connection, name, newName);
};

/** Leaves one of the two databases, under the name. Not to be cancelled: whatever came of the attempt to drop the old one, it takes a moment. */
const settleNames = (connection: ConnectionOptions, name: string, newName: string): Promise<void> =>
  withMaintenance(connection, { applicationName: 'dbbackup' }, async (session) => {
    const { rows } = await session.query('SELECT datname FROM pg_catalog.pg_database WHERE datname = ANY (ARRAY[$1, $2])', [name, newName]);
    const found = rows.map(([datname]) => datname);
    if (!found.includes(newName)) return;
    const isOldThere = found.includes(name);
    await session.query(
      isOldThere
        ? await formatSql(session, 'DROP DATABASE %I', [newName])
        : await formatSql(session, 'ALTER DATABASE %I RENAME TO %I', [newName, name]),
    );
  });

/** Runs `use` with a session in a database that every server has. */
export const withMaintenance = async (
  connection: ConnectionOptions,
  settings: Pick<SessionSettings, 'applicationName' | 'signal'>,
  use: (session: Session) => Promise<void>,
): Promise<void> => {
  const [first, second] = maintenanceDatabases;
  const open = (dbname: string) => withSession(connection, { ...settings, overrides: { dbname } }, use);
  try {
    await open(first);
  } catch (error) {
    if (!(error instanceof DbbackupError && error.code === 'database_not_found' && error.details.sqlstate === undefined)) throw error;
    await open(second);
  }
};

/** Identifiers as %I, literals as %L: quoted by the server. */
export const formatSql = async (session: Session, template: string, values: readonly string[]): Promise<string> => {
  const places = values.map((_, index) => `, $${index + 1}::text`).join('');
  const { rows } = await session.query(`SELECT pg_catalog.format('${template.replaceAll("'", "''")}'${places})`, values);
  return rows[0]?.[0] ?? '';
};

/** The source's encoding and locale; template0 is the one template that allows any. Errors: `target_incompatible` where the server knows no such locale. */
export const createStatement = (session: Session, name: string, source: ManifestDatabase): Promise<string> => {
  const { encoding, collate, ctype, localeProvider, icuLocale, icuRules } = source;
  const version = session.info().serverVersion;
  checkLocale(version, source);
  const base = 'CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L';
  const values = [name, encoding, collate, ctype];
  if (localeProvider === 'i') {
    const rules = icuRules === null ? [] : [icuRules];
    return formatSql(session, `${base} LOCALE_PROVIDER icu ICU_LOCALE %L${rules.map(() => ' ICU_RULES %L').join('')}`, [
      ...values,
      icuLocale ?? '',
      ...rules,
    ]);
  }
  if (localeProvider === 'b') return formatSql(session, `${base} LOCALE_PROVIDER builtin BUILTIN_LOCALE %L`, [...values, icuLocale ?? '']);
  return formatSql(session, version >= 150000 ? `${base} LOCALE_PROVIDER libc` : base, values);
};

/** What of a locale not every version has, and the first one that does. */
const localeNeeds = ({ localeProvider, icuRules }: ManifestDatabase): readonly (readonly [what: string, lowest: number])[] => [
  ...(localeProvider === 'i' ? ([['the locale provider ICU', 15]] as const) : []),
  ...(icuRules === null ? [] : ([['ICU rules', 16]] as const)),
  ...(localeProvider === 'b' ? ([['the builtin locale provider', 17]] as const) : []),
];

/** Errors: `target_incompatible` where a server of this version cannot create the database as it was. */
export const checkLocale = (serverVersion: number, source: ManifestDatabase): void => {
  const missing = localeNeeds(source).find(([, lowest]) => serverVersion < lowest * 10_000);
  if (missing === undefined) return;
  const [what, lowest] = missing;
  throw new DbbackupError(
    'target_incompatible',
    `database ${JSON.stringify(source.name)} has ${what}, which PostgreSQL ${lowest} brought`,
    {
      details: { object: source.name, hint: 'Create a database for it as it is to be, and restore into that one with restore single.' },
    },
  );
};

/** Anything of a user's that the database holds, as the server describes it; null when there is nothing. What is in `ignoredSchema` does not count. */
export const findUserObject = async (session: Session, ignoredSchema = ''): Promise<string | null> =>
  (await session.query(userObjectsQuery, [ignoredSchema])).rows[0]?.[0] ?? null;

/** Refuses a database that holds anything of a user's: relations, functions, types, large objects, schemas. Objects of extensions do not count. */
export const checkEmpty = async (session: Session): Promise<void> => {
  const first = await findUserObject(session);
  if (first === null) return;
  const { database } = session.info();
  throw new DbbackupError('target_not_empty', `database ${JSON.stringify(database)} is not empty: it holds ${first}`, {
    details: { object: database },
  });
};

const userObjectsQuery = `
  SELECT pg_catalog.pg_describe_object(classid, objid, 0) FROM (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, c.oid AS objid, c.relnamespace AS namespace FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
    UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, p.pronamespace FROM pg_catalog.pg_proc p
    UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, t.typnamespace FROM pg_catalog.pg_type t WHERE t.typtype IN ('e', 'd', 'r')
    UNION ALL SELECT 'pg_catalog.pg_largeobject'::pg_catalog.regclass, l.oid, NULL FROM pg_catalog.pg_largeobject_metadata l
    UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, s.oid, s.oid FROM pg_catalog.pg_namespace s WHERE s.nspname <> 'public'
  ) o LEFT JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace
  WHERE (n.nspname IS NULL OR (n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> $1))
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e')
  LIMIT 1`;
