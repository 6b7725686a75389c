import { canReadPasswords, type LeftOutDatabase, listDatabases, readHeadRoom } from '../catalog/cluster.js';
import { prelude } from '../catalog/prelude.js';
import { DbbackupError } from '../core/errors.js';
import { nameDatabases } from '../manifest/facts.js';
import type { Session } from '../native/session.js';
import { toWaves } from '../planner/waves.js';
import { adviseOnConnections } from './advise-on-connections.js';
import { type BackupScope, runBackup } from './backup.js';
import { GlobalsBackup } from './backup-globals.js';
import type { BackupSource } from './backup-source.js';
import type { BackupReport, ClusterBackupOptions, RunContext } from './options.js';
import { toSameServer, withSession } from './sessions.js';
import { toJobs } from './settings.js';

/**
 * Backs up all databases of a server that allow connections, with its roles and tablespaces, in one backup. Each database is read under one snapshot; the snapshots
 * are taken as close together as can be, in waves where the server has too few connections for all.
 *
 * Errors: as `backup`, and `usage` where no database is left. Cost: one connection for each database of a wave, besides those of the jobs.
 */
export const backupCluster = (options: ClusterBackupOptions, context: RunContext = {}): Promise<BackupReport> =>
  runBackup(options, context, ['pg_dump', 'pg_dumpall'], async (session, choose) => {
    const pgDumpAll = choose('pg_dumpall');
    for (const sql of prelude('UTF8')) await session.query(sql);
    const arePasswordsLeftOut = options.arePasswordsLeftOut === true;
    if (!arePasswordsLeftOut && !(await canReadPasswords(session)))
      throw new DbbackupError(
        'permission_denied',
        `role ${JSON.stringify(session.info().user)} may not read the hashes of passwords in pg_authid`,
        {
          details: { object: 'pg_authid', hint: 'Back up as a superuser, or leave the password hashes out with --no-role-passwords.' },
        },
      );
    const { names, leftOut } = await listDatabases(session, options.excludeDatabases ?? []);
    const numbered = names.map((name, index) => ({ number: index + 1, name }));
    const waves = toWaves(numbered, { connectionCount: await readHeadRoom(session), jobs: toJobs(options.jobs) });
    const databases = waves.flatMap((wave, index) => wave.map((database) => ({ ...database, wave: index + 1 })));
    const toOwnSource: BackupScope['toSource'] = ({ number, name }) => toSource(options, context, session, name, number);
    const globals = new GlobalsBackup({ session, pgDumpAll, arePasswordsLeftOut });
    const title = nameDatabases(names);
    return { kind: 'cluster', title, stem: 'cluster', databases, toSource: toOwnSource, globals, warnings: leftOut.map(toWarning) };
  });

const toWarning = ({ name, reason }: LeftOutDatabase): string =>
  `database ${JSON.stringify(name)} is left out: ${reason}; --exclude-database leaves it out without a word`;

const toSource = (options: ClusterBackupOptions, { signal }: RunContext, session: Session, name: string, number: number): BackupSource => {
  const overrides = { ...toSameServer(session), dbname: name };
  return {
    number,
    name,
    overrides,
    access: toAccess(session, name),
    withSession: (use) =>
      withSession(options.connection, { applicationName: 'dbbackup', signal, overrides }, use).catch((error: unknown) => {
        throw adviseOnConnections(error);
      }),
  };
};

/** The same server, another database. */
const toAccess = (session: Session, database: string): BackupSource['access'] => {
  const info = { ...session.info(), database };
  return { info: () => info, password: () => session.password() };
};
