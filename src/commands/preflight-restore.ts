import { prelude } from '../catalog/prelude.js';
import { toText } from '../catalog/rows.js';
import { systemClock } from '../core/context.js';
import { type Finding, fail, ok, toOverallStatus } from '../core/findings.js';
import type { Manifest, ManifestDatabase } from '../manifest/schema.js';
import { checkFilesPresent, listArchives, readManifest } from '../manifest/store.js';
import { databaseOf } from '../native/connection-info.js';
import { processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { readFreeBytes } from '../preflight/machine-facts.js';
import {
  judgeExtensions,
  judgeLocale,
  judgeRoles,
  judgeTablespaces,
  judgeTargetDisk,
  judgeTargetLocks,
  judgeVersion,
} from '../preflight/restore-findings.js';
import { readServerFacts } from '../preflight/server-facts.js';
import { judgeConnections } from '../preflight/server-findings.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import { findTools, toMajor } from '../tools/find-tools.js';
import { toFailedFinding } from './examine-database.js';
import { examineOwnPooler } from './examine-server.js';
import type { PreflightRestoreOptions, RunContext } from './options.js';
import { describeConnection, type PreflightReport } from './preflight.js';
import { checkArchives, chooseDatabase, chooseRestoreTools, toTotals } from './restore-parts.js';
import { withSession } from './sessions.js';
import { toJobs } from './settings.js';
import { findUserObject, withMaintenance } from './target.js';

/**
 * Looks whether a restore with these options would succeed. Nothing is created or changed: with `isCreating` and `isCleaning` the target's server is asked through
 * another database. What would fail is a finding, not an error.
 * Errors: those of finding and reading the backup, `usage`, `cancelled`.
 */
export const preflightRestore = async (options: PreflightRestoreOptions, { signal }: RunContext = {}): Promise<PreflightReport> => {
  const startedMs = systemClock.monotonicMs();
  const storage = openLocalStorage(options.outputDir);
  const { id } = await (await openRepository(storage)).findFinished(options.id);
  const manifest = await readManifest(storage, id);
  const database = chooseDatabase(manifest, options.database);
  const part = { databases: [database], hasGlobals: false };
  const findings: Finding[] = [];
  try {
    await checkFilesPresent(storage, manifest, part);
    await checkArchives(storage, id, listArchives(manifest, part), signal);
    findings.push(
      ok('backup', `the manifest of ${id} is sound and its ${manifest.files.length} data files are there; dbbackup verify reads them`),
    );
  } catch (error) {
    findings.push(toFailedFinding('backup', error));
  }
  try {
    const isMade = options.isCreating === true || options.isCleaning === true;
    await withServer(options, isMade, signal, async (session) => {
      findings.push(describeConnection(session));
      findings.push(...(await examineTarget(options, manifest, database, session, isMade, signal)));
    });
  } catch (error) {
    findings.push(toFailedFinding(findings.some(({ check }) => check === 'connection') ? 'target' : 'connection', error));
  }
  return { status: toOverallStatus(findings), findings, estimates: [], elapsedMs: Math.round(systemClock.monotonicMs() - startedMs) };
};

/** A database that is yet to be made is looked for through another one. */
const withServer = (
  { connection }: PreflightRestoreOptions,
  isMade: boolean,
  signal: AbortSignal | undefined,
  use: (session: Session) => Promise<void>,
): Promise<void> => {
  const settings = { applicationName: 'dbbackup preflight', signal };
  return isMade ? withMaintenance(connection, settings, use) : withSession(connection, settings, use);
};

const examineTarget = async (
  options: PreflightRestoreOptions,
  manifest: Manifest,
  database: ManifestDatabase,
  session: Session,
  isMade: boolean,
  signal: AbortSignal | undefined,
): Promise<readonly Finding[]> => {
  for (const sql of prelude('UTF8')) await session.query(sql);
  const facts = await readServerFacts(session);
  const jobs = toJobs(undefined);
  const pooler = await examineOwnPooler(options.connection, session, facts);
  const { isOwnerDropped, arePrivilegesDropped, selection } = manifest.options;
  const areRolesLeftOut =
    (options.isOwnerDropped === true || isOwnerDropped) && (options.arePrivilegesDropped === true || arePrivilegesDropped);
  return [
    pooler,
    facts.isStandby
      ? fail('standby', 'the target is a standby: it takes no writes', 'Restore into the primary.')
      : ok('standby', 'the target is a primary'),
    judgeVersion(manifest.server.version, facts.version),
    await examineTools(options, database, facts.version, signal),
    await examineName(options, session, isMade),
    ...(await examineLocale(session, database, isMade)),
    ...judgeExtensions(database.extensions, await readExtensions(session, isMade)),
    areRolesLeftOut
      ? ok('roles', 'owners and privileges are left out')
      : judgeRoles(
          database.roles,
          await readNames(session, 'rolname', 'pg_roles'),
          selection === null && !(options.isOwnerDropped === true),
        ),
    judgeTablespaces(database.tablespaces, await readNames(session, 'spcname', 'pg_tablespace')),
    judgeConnections(facts, jobs),
    judgeTargetLocks(countLargestTree(database), jobs, facts),
    judgeTargetDisk(await readServerFree(session), toTotals([database]).rawBytes),
  ];
};

const examineTools = async (
  options: PreflightRestoreOptions,
  database: ManifestDatabase,
  version: number,
  signal: AbortSignal | undefined,
): Promise<Finding> => {
  try {
    const tools = await findTools({ names: ['pg_restore', 'psql'], binDir: options.pgBinDir, host: processHost, signal });
    const { pgRestore } = chooseRestoreTools(tools, [database], toMajor(version));
    return ok('tools', `${pgRestore.path} is version ${pgRestore.version}`);
  } catch (error) {
    return toFailedFinding('tools', error);
  }
};

/** Whether the target is there and empty, or is not there where it is to be created; and whether this role may do that. */
const examineName = async (options: PreflightRestoreOptions, session: Session, isMade: boolean): Promise<Finding> => {
  const name = isMade ? databaseOf(options.connection.database) : session.info().database;
  const shown = JSON.stringify(name);
  if (!isMade) {
    const object = await findUserObject(session);
    return object === null
      ? ok('target', `database ${shown} is empty`)
      : fail(
          'target',
          `database ${shown} is not empty: it holds ${object}`,
          'Restore into an empty database, or use --create, or --clean --yes.',
        );
  }
  const exists = (await session.query('SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1', [name])).rows.length > 0;
  const mayCreate =
    toText(
      (await session.query('SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER')).rows[0] ?? [],
      0,
    ) === 't';
  if (!mayCreate)
    return fail(
      'target',
      `role ${session.info().user} may not create databases`,
      'Run: ALTER ROLE … CREATEDB; or let somebody create it and leave --create out.',
    );
  if (exists && options.isCreating === true)
    return fail('target', `database ${shown} exists already`, 'Choose another --target-db, leave --create out, or use --clean --yes.');
  return ok('target', exists ? `database ${shown} exists and will be dropped` : `database ${shown} does not exist yet`);
};

const localeQuery =
  'SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()';

/** A database that is created gets the backup's: of libc the server must have such a locale, which its collations tell. */
const examineLocale = async (session: Session, source: ManifestDatabase, isMade: boolean): Promise<readonly Finding[]> => {
  if (!isMade) {
    const row = (await session.query(localeQuery)).rows[0] ?? [];
    return judgeLocale(source, { encoding: toText(row, 0), collate: toText(row, 1), ctype: toText(row, 2) });
  }
  const names = [...new Set([source.collate, source.ctype])].filter((name) => !['C', 'POSIX', 'C.UTF-8', 'C.utf8'].includes(name));
  const missing: string[] = [];
  for (const name of names) {
    const sql =
      "SELECT 1 FROM (SELECT collcollate AS name FROM pg_catalog.pg_collation UNION ALL SELECT datcollate FROM pg_catalog.pg_database) l WHERE pg_catalog.lower(pg_catalog.replace(name, '-', '')) = pg_catalog.lower(pg_catalog.replace($1, '-', '')) LIMIT 1";
    if ((await session.query(sql, [name])).rows.length === 0) missing.push(name);
  }
  const encoding = ok('encoding', `the database will be created with encoding ${source.encoding}`);
  const wanted = `locale ${source.collate}${source.ctype === source.collate ? '' : ` and ${source.ctype}`}`;
  return [
    encoding,
    missing.length === 0
      ? ok('collation', `the database will be created with ${wanted}`)
      : fail(
          'collation',
          `the target server does not know locale ${missing.join(', ')}`,
          'Install it on the target server, or create the database as it is to be and leave --create out.',
        ),
  ];
};

const readExtensions = async (session: Session, isMade: boolean) => {
  const { rows } = await session.query('SELECT name, installed_version, default_version FROM pg_catalog.pg_available_extensions');
  // What another database has says nothing of one that is yet to be created.
  return rows.map((row) => ({ name: toText(row, 0), installedVersion: isMade ? null : (row[1] ?? null), defaultVersion: row[2] ?? null }));
};

const readNames = async (
  session: Session,
  column: 'rolname' | 'spcname',
  table: 'pg_roles' | 'pg_tablespace',
): Promise<ReadonlySet<string>> =>
  new Set((await session.query(`SELECT ${column} FROM pg_catalog.${table}`)).rows.map((row) => toText(row, 0)));

const countLargestTree = ({ relations }: ManifestDatabase): number => {
  const counts = new Map<number, number>();
  for (const { partitionRootOid } of relations)
    if (partitionRootOid !== null) counts.set(partitionRootOid, (counts.get(partitionRootOid) ?? 0) + 1);
  return Math.max(1, ...counts.values());
};

/** Free bytes where the server keeps its data, if that is this machine and its directory may be told; null otherwise. */
const readServerFree = async (session: Session): Promise<number | null> => {
  if (!session.info().host.startsWith('/')) return null;
  // Who may not see the setting gets no row.
  const directory = (await session.query("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory'")).rows[0]?.[0];
  return typeof directory === 'string' && directory !== '' ? readFreeBytes(directory) : null;
};
