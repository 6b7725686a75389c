import { type Command, Option } from 'commander';
import { defaults } from '../commands/options.js';
import type {
  BackupFlags,
  ClusterBackupFlags,
  ClusterRestoreFlags,
  OutputFlags,
  ResourceFlags,
  RestoreFlags,
  ResumeFlags,
} from './flags.js';
import { type ExitStatus, formatHelpTail } from './help.js';
import { duration, nonEmpty, parseCompression, parsePort, parseSchemaMap, sizeWithin, wholeNumber } from './option-values.js';
import { addOwnership, addSelection } from './selection-options.js';

/** Shown only: the default itself is the command's, so that library and CLI share it. */
const byDefault = (text: string): string => `(default: ${text})`;

const kibi = 1024;
/** A task that moves rows waits for the server most of its time; beyond this many, connections cost the server more than they bring. */
const maxJobs = 64;

const addRepository = (command: Command, outputDir: string): Command =>
  command.addOption(
    new Option('--output-dir <DIR>', 'the repository, a directory that holds backups; also set by DBBACKUP_OUTPUT_DIR')
      .argParser(nonEmpty('--output-dir'))
      .default(outputDir),
  );

const addRunOutput = (command: Command, outputDir: string): Command =>
  addRepository(command.optionsGroup('Output:'), outputDir)
    .option('--json', 'print what happens as JSON lines on standard output')
    .option('--quiet', 'no progress and no summary: only the ID, warnings and errors')
    .addOption(new Option('--verbose', 'print each chunk, and causes of errors').conflicts('quiet'))
    .addOption(new Option('--log-file <FILE>', 'append JSON lines to FILE, secrets left out').argParser(nonEmpty('--log-file')));

const addConnection = (command: Command): Command =>
  command
    .optionsGroup('Connection (what is left out comes from PG* variables, .pgpass and pg_service.conf, as in psql):')
    .addOption(new Option('-h, --host <HOST>', 'host name, or directory of the Unix socket').argParser(nonEmpty('--host')))
    .addOption(new Option('-p, --port <PORT>', 'port').argParser(parsePort))
    .addOption(new Option('-U, --username <NAME>', 'user').argParser(nonEmpty('--username')))
    // In this order: alone or first, a --no- option makes its opposite the default.
    .option('-W, --password', 'ask for a password before connecting')
    .option('-w, --no-password', 'never ask for a password');

const addResources = (command: Command): Command =>
  command
    .optionsGroup('Resources:')
    .addOption(
      new Option('-j, --jobs <N>', 'tasks at the same time, each with a connection (default: number of cores, 4 to 8)').argParser(
        wholeNumber('--jobs', 1, maxJobs),
      ),
    )
    .addOption(
      new Option('--parallel-tables <N>', 'another spelling of --jobs')
        .argParser(wholeNumber('--parallel-tables', 1, maxJobs))
        .conflicts('jobs'),
    )
    .addOption(
      new Option('--memory-limit <SIZE>', `bound for the memory of this process ${byDefault('144MB, or what the jobs need')}`).argParser(
        sizeWithin('--memory-limit', kibi ** 2, kibi ** 5),
      ),
    );

const lockWaitTimeout = (): Option =>
  new Option('--lock-wait-timeout <TIME>', 'fail when a table stays locked so long, as 5000 or 10s (default: wait)').argParser(
    duration('--lock-wait-timeout'),
  );

const pgBinDir = (): Option =>
  new Option('--pg-bin-dir <DIR>', 'where the PostgreSQL client tools are').argParser(nonEmpty('--pg-bin-dir'));

const excludeDatabase = (): Option =>
  new Option('--exclude-database <PATTERN>', 'leave out databases whose names match, as in pg_dumpall; may be repeated').argParser(
    (pattern: string, others: readonly string[] | undefined) => [...(others ?? []), nonEmpty('--exclude-database')(pattern)],
  );

/** What a run may do otherwise than the one it continues. */
const addRun = (command: Command): Command =>
  command
    .addOption(
      new Option('--keeper-ttl <TIME>', 'how long the snapshot is kept once dbbackup has died, as 30min or 2h (default: 1h)').argParser(
        duration('--keeper-ttl'),
      ),
    )
    .option('--no-keeper', 'hold the snapshot in this process: it ends with it')
    .addOption(
      new Option(
        '--on-lock-queue <ACTION>',
        `when another session waits for a lock that the backup holds ${byDefault(defaults.onLockQueue)}`,
      ).choices(['warn', 'fail', 'yield']),
    )
    .addOption(
      new Option('--timeout <TIME>', `for each database, 0 for none ${byDefault('2h, or three times the estimate')}`).argParser(
        duration('--timeout'),
      ),
    )
    .addOption(
      new Option(
        '--stall-timeout <TIME>',
        `ask the server about a task that does not get on for so long, 0 for never ${byDefault('2min')}`,
      ).argParser(duration('--stall-timeout')),
    )
    .option(
      '--allow-mixed',
      'where the snapshot of a continued run is gone: keep tables that were read whole, read the rest under a new one',
    )
    .addOption(pgBinDir())
    .option('--verify', 'verify the backup once it is written')
    .addOption(
      new Option('--max-rate <RATE>', 'raw bytes read in a second, as 50MB (default: as fast as can be)').argParser(
        sizeWithin('--max-rate', kibi, kibi ** 4),
      ),
    )
    .option('--no-preflight', 'leave out the quick checks of server and machine before the backup');

/** What all kinds of backup have. */
const addBackup = (command: Command): Command => addRun(addBackupOptions(addResources(addConnection(command))));

const addBackupOptions = (command: Command): Command =>
  command
    .optionsGroup('Backup:')
    .addOption(
      new Option('--chunk-size <SIZE>', `raw bytes of a chunk, bound of a data file ${byDefault('1GB')}`).argParser(
        sizeWithin('--chunk-size', kibi ** 2, kibi ** 4),
      ),
    )
    .addOption(
      new Option('--compression <CODEC>', `zstd[:1-22], lz4, gzip[:1-12] or none ${byDefault('zstd:1')}`).argParser(parseCompression),
    )
    .option('--force-level', 'take a level above 6 as it is; without, it is lowered to 6')
    .addOption(
      new Option('--format <FORMAT>', `COPY format; auto decides for each table ${byDefault(defaults.format)}`).choices([
        'auto',
        'binary',
        'text',
      ]),
    )
    .addOption(new Option('--checksum <NAME>', `of the data files ${byDefault(defaults.checksum)}`).choices(['xxh3-128', 'sha256']))
    .addOption(lockWaitTimeout())
    .addOption(new Option('--mode <MODE>', 'chunked and native both name what dbbackup always does').choices(['chunked', 'native']))
    .addOption(
      new Option(
        '--resume [ID]',
        'continue an unfinished run: this one, or the newest of the same database, server and options, if there is one',
      ).argParser(nonEmpty('--resume')),
    );

/** What only `backup single` and what looks ahead at it have. */
const addSingle = (command: Command): Command =>
  addOwnership(addSelection(addBackup(command), 'saved'))
    .option('--no-unlogged-data', 'leave rows of unlogged tables out')
    .option('--large-objects', 'save large objects although tables or schemas are named')
    .option('--no-large-objects', 'leave large objects out');

const addCluster = (command: Command): Command =>
  addBackup(command)
    .optionsGroup('Cluster:')
    .addOption(excludeDatabase())
    .option('--no-role-passwords', 'leave out the hashes of passwords, which only a superuser may read');

/** Output of commands that are no runs: a report. */
const addReportOutput = (command: Command, outputDir: string, quiet: string): Command =>
  addRepository(command.optionsGroup('Output:'), outputDir).option('--json', 'print one JSON object').option('--quiet', quiet);

export type KeeperFlags = Pick<OutputFlags, 'json' | 'quiet'>;

/** What the leaf commands call with what was typed. */
export interface Actions {
  backup(database: string, flags: BackupFlags): void;
  backupCluster(connection: string, flags: ClusterBackupFlags): void;
  resume(id: string, flags: ResumeFlags): void;
  restore(id: string, flags: RestoreFlags): void;
  restoreCluster(id: string, flags: ClusterRestoreFlags): void;
  preflight(database: string, flags: BackupFlags): void;
  preflightCluster(connection: string, flags: ClusterBackupFlags): void;
  preflightRestore(id: string, flags: RestoreFlags): void;
  estimate(database: string, flags: BackupFlags): void;
  verify(id: string, flags: OutputFlags & ResourceFlags): void;
  list(flags: OutputFlags & { readonly unfinished?: true }): void;
  show(id: string, flags: OutputFlags): void;
  delete(id: string, flags: OutputFlags & { readonly yes?: true }): void;
  listKeepers(flags: KeeperFlags): void;
  stopKeepers(id: string | undefined, flags: KeeperFlags & { readonly all?: true }): void;
}

/** Adds all commands to `program`, whose settings they inherit. */
export const addCommands = (program: Command, actions: Actions, outputDir: string): void => {
  const tail = (command: Command, examples: readonly string[], statuses: readonly ExitStatus[]): Command =>
    command.addHelpText('after', formatHelpTail(examples, statuses));

  const backup = program.command('backup').description('make a backup');
  const single = backup
    .command('single')
    .description('back up one database')
    .argument('<DB>', 'database name, postgres:// URI or keyword string', nonEmpty('DB'));
  addSingle(single);
  tail(
    addRunOutput(single, outputDir).action((database: string, flags: BackupFlags) => actions.backup(database, flags)),
    [
      'dbbackup backup single shop',
      'dbbackup backup single shop -h db.example.com -U backup -W --jobs 8 --verify',
      'dbbackup backup single "service=shop sslmode=verify-full" --compression zstd:3 --chunk-size 512MB',
      'id=$(dbbackup backup single shop --quiet)',
      'dbbackup backup single shop --resume',
    ],
    [0, 1, 2, 3, 10, 11, 20, 129, 130, 143],
  );

  const cluster = backup
    .command('cluster')
    .description(
      'back up all databases of a server, its roles and tablespaces; as a superuser, or with --no-role-passwords as a member of pg_read_all_data',
    )
    .argument(
      '[CONNECTION]',
      'a database to connect to first: name, postgres:// URI or keyword string',
      nonEmpty('CONNECTION'),
      'postgres',
    );
  addCluster(cluster);
  tail(
    addRunOutput(cluster, outputDir).action((connection: string, flags: ClusterBackupFlags) => actions.backupCluster(connection, flags)),
    [
      'dbbackup backup cluster',
      'dbbackup backup cluster -h db.example.com -U postgres -W --exclude-database "test_*"',
      'dbbackup backup cluster "postgres://backup@db.example.com/postgres" --no-role-passwords',
    ],
    [0, 1, 2, 3, 10, 11, 20, 129, 130, 143],
  );

  const resume = program
    .command('resume')
    .description('continue an unfinished backup as it was started')
    .argument('<ID>', 'the run', nonEmpty('ID'));
  addRun(addResources(addConnection(resume)).optionsGroup('Backup:').addOption(lockWaitTimeout()));
  tail(
    addRunOutput(resume, outputDir).action((id: string, flags: ResumeFlags) => actions.resume(id, flags)),
    ['dbbackup resume ID', 'dbbackup resume ID --allow-mixed'],
    [0, 1, 2, 3, 10, 11, 20, 129, 130, 143],
  );

  const restore = program.command('restore').description('restore a backup');
  const restoreSingle = restore.command('single').description('restore one database').argument('<ID>', 'the backup', nonEmpty('ID'));
  restoreSingle
    .optionsGroup('Target:')
    .addOption(
      new Option('--target-db <NAME>', 'the database to fill: name, postgres:// URI or keyword string').argParser(nonEmpty('--target-db')),
    )
    .option('--list', 'show what would be restored, and touch nothing')
    .addOption(new Option('--database <NAME>', 'the database of a cluster’s backup to restore').argParser(nonEmpty('--database')))
    .option('--create', 'create it first')
    .addOption(new Option('--clean', 'drop it first, with all it holds, and create it anew; needs --yes').conflicts('create'))
    .option('--yes', 'consent to --clean')
    .option('--resume', 'go on with a restore that was interrupted, or begin one')
    .option('--check', 'read the restored rows again and compare their digests')
    .option('--load-via-partition-root', 'load partitions through their topmost table')
    .option('--no-tablespaces', 'leave everything in the target database’s own tablespace')
    .option('--append', 'with --data-only: add to tables that hold rows')
    .option('--disable-triggers', 'with --data-only: disable triggers of the tables while rows are loaded')
    .addOption(new Option('--map-schema <OLD=NEW>', 'rename a schema once all is restored; may be repeated').argParser(parseSchemaMap))
    .addOption(pgBinDir());
  addOwnership(addSelection(restoreSingle, 'restored'));
  tail(
    addRunOutput(addResources(addConnection(restoreSingle)), outputDir).action((id: string, flags: RestoreFlags) =>
      actions.restore(id, flags),
    ),
    ['dbbackup restore single ID --target-db shop_copy --create', 'dbbackup restore single ID --target-db shop_test --clean --yes --check'],
    [0, 1, 2, 3, 10, 20, 129, 130, 143],
  );

  const restoreCluster = restore
    .command('cluster')
    .description('restore all databases of a cluster’s backup, its roles and tablespaces')
    .argument('<ID>', 'the backup', nonEmpty('ID'));
  restoreCluster
    .optionsGroup('Target:')
    .addOption(
      new Option('--target-server <CONNECTION>', 'a database of the target to connect to first: name, postgres:// URI or keyword string')
        .argParser(nonEmpty('--target-server'))
        .default('postgres'),
    )
    .addOption(excludeDatabase())
    .option('--no-tablespaces', 'create no tablespaces: everything goes to the default one')
    .option('--clean', 'drop databases that exist, with all they hold, and create them anew; needs --yes')
    .option('--yes', 'consent to --clean')
    .option('--resume', 'go on with a restore that was interrupted, or begin one')
    .option('--check', 'read the restored rows again and compare their digests')
    .addOption(pgBinDir());
  tail(
    addRunOutput(addResources(addConnection(restoreCluster)), outputDir).action((id: string, flags: ClusterRestoreFlags) =>
      actions.restoreCluster(id, flags),
    ),
    [
      'dbbackup restore cluster ID -h new.example.com -U postgres --check',
      'dbbackup restore cluster ID --exclude-database crm --no-tablespaces',
    ],
    [0, 1, 2, 3, 10, 20, 129, 130, 143],
  );

  const preflight = program.command('preflight').description('look whether a backup or restore would succeed, and change nothing');
  const preflightSingle = preflight
    .command('single', { isDefault: true })
    .description('before a backup of one database; dbbackup preflight DB is the same')
    .argument('<DB>', 'database name, postgres:// URI or keyword string', nonEmpty('DB'));
  tail(
    addReportOutput(addSingle(preflightSingle), outputDir, 'print what is not ok alone').action((database: string, flags: BackupFlags) =>
      actions.preflight(database, flags),
    ),
    ['dbbackup preflight shop', 'dbbackup preflight single shop -h db.example.com -U backup -W --compression zstd:3 --json'],
    [0, 1, 2, 3, 129, 130, 143],
  );
  const preflightCluster = preflight
    .command('cluster')
    .description('before a backup of all databases of a server')
    .argument(
      '[CONNECTION]',
      'a database to connect to first: name, postgres:// URI or keyword string',
      nonEmpty('CONNECTION'),
      'postgres',
    );
  tail(
    addReportOutput(addCluster(preflightCluster), outputDir, 'print what is not ok alone').action(
      (connection: string, flags: ClusterBackupFlags) => actions.preflightCluster(connection, flags),
    ),
    ['dbbackup preflight cluster -h db.example.com -U postgres'],
    [0, 1, 2, 3, 129, 130, 143],
  );
  const preflightRestore = preflight
    .command('restore')
    .description('before a restore of one database')
    .argument('<ID>', 'the backup', nonEmpty('ID'));
  addConnection(preflightRestore)
    .optionsGroup('Target:')
    .addOption(
      new Option('--target-db <NAME>', 'the database to fill: name, postgres:// URI or keyword string').argParser(nonEmpty('--target-db')),
    )
    .addOption(new Option('--database <NAME>', 'the database of a cluster’s backup to restore').argParser(nonEmpty('--database')))
    .option('--create', 'it will be created')
    .addOption(new Option('--clean', 'it will be dropped first').conflicts('create'))
    .addOption(pgBinDir());
  tail(
    addReportOutput(addOwnership(preflightRestore), outputDir, 'print what is not ok alone').action((id: string, flags: RestoreFlags) =>
      actions.preflightRestore(id, flags),
    ),
    ['dbbackup preflight restore ID --target-db shop_copy --create -h new.example.com'],
    [0, 1, 2, 3, 10, 20, 129, 130, 143],
  );

  const estimate = program
    .command('estimate')
    .description('estimate size and time of a backup by samples of the rows')
    .argument('<DB>', 'database name, postgres:// URI or keyword string', nonEmpty('DB'));
  tail(
    addReportOutput(addSingle(estimate), outputDir, 'print the stored bytes alone').action((database: string, flags: BackupFlags) =>
      actions.estimate(database, flags),
    ),
    ['dbbackup estimate shop', 'dbbackup estimate shop --compression zstd:6 --jobs 8'],
    [0, 1, 2, 129, 130, 143],
  );

  const verify = program
    .command('verify')
    .description('prove that a backup is what was written')
    .argument('<ID>', 'the backup', nonEmpty('ID'));
  tail(
    addRunOutput(addResources(verify), outputDir).action((id: string, flags: OutputFlags & ResourceFlags) => actions.verify(id, flags)),
    ['dbbackup verify ID', 'dbbackup verify ID --json | grep damage.found'],
    [0, 1, 2, 10, 20, 129, 130, 143],
  );

  const list = program
    .command('list')
    .description('list the backups of a repository')
    .option('--unfinished', 'list runs that did not finish instead');
  tail(
    addRepository(list, outputDir)
      .option('--json', 'print one JSON object')
      .option('--quiet', 'print IDs only')
      .action((flags: OutputFlags & { readonly unfinished?: true }) => actions.list(flags)),
    ['dbbackup list', 'dbbackup list --unfinished --output-dir /mnt/backups'],
    [0, 1, 2, 3, 10],
  );

  const show = program.command('show').description('show what a backup holds').argument('<ID>', 'the backup', nonEmpty('ID'));
  tail(
    addRepository(show, outputDir)
      .option('--json', 'print the manifest as it is')
      .action((id: string, flags: OutputFlags) => actions.show(id, flags)),
    ['dbbackup show ID', 'dbbackup show ID --json'],
    [0, 1, 2, 10, 20],
  );

  const keeper = program.command('keeper').description('the processes that hold snapshots and locks of runs');
  tail(
    keeper
      .command('list')
      .description('list the keepers of this user on this machine')
      .option('--json', 'print one JSON object')
      .option('--quiet', 'print IDs only')
      .action((flags: KeeperFlags) => actions.listKeepers(flags)),
    ['dbbackup keeper list', 'dbbackup keeper list --json'],
    [0, 1, 2],
  );
  tail(
    keeper
      .command('stop')
      .description('end keepers, and let go of the snapshots and locks they hold')
      .argument('[ID]', 'the backup', nonEmpty('ID'))
      .option('--all', 'end all of this user on this machine')
      .option('--json', 'print one JSON object')
      .option('--quiet', 'print nothing')
      .action((id: string | undefined, flags: KeeperFlags & { readonly all?: true }) => actions.stopKeepers(id, flags)),
    ['dbbackup keeper stop ID', 'dbbackup keeper stop --all'],
    [0, 1, 2, 10],
  );

  const remove = program
    .command('delete')
    .description('delete a backup or what an unfinished run left')
    .argument('<ID>', 'the backup', nonEmpty('ID'))
    .option('--yes', 'do it');
  tail(
    addRepository(remove, outputDir)
      .option('--json', 'print one JSON object')
      .option('--quiet', 'print nothing')
      .action((id: string, flags: OutputFlags & { readonly yes?: true }) => actions.delete(id, flags)),
    ['dbbackup delete ID --yes'],
    [0, 1, 2, 10, 11],
  );
};
