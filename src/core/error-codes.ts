/**
 * The catalogue of error codes: one line per code, the single source for exit statuses, retry decisions and `docs/errors.md`.
 * The addon exports the codes it may throw; a test compares both lists.
 */

/** What a code means to a caller. `exitStatus` is what the CLI ends with; `hint` is the advice shown when an error brings none of its own. */
export interface ErrorCodeEntry {
  readonly meaning: string;
  readonly isRetryable: boolean;
  readonly exitStatus: number;
  readonly hint?: string;
}

const entry = (exitStatus: number, isRetryable: boolean, meaning: string, hint?: string): ErrorCodeEntry =>
  hint === undefined ? { meaning, isRetryable, exitStatus } : { meaning, isRetryable, exitStatus, hint };

/** All codes. Match on these, never on messages. */
export const errorCodes = {
  usage: entry(2, false, 'an option or argument is wrong', 'See dbbackup --help.'),
  connection_failed: entry(1, true, 'the server cannot be reached', 'Check host, port and that the server runs.'),
  authentication_failed: entry(1, false, 'the server refused the credentials', 'Check user name, password and pg_hba.conf.'),
  database_not_found: entry(1, false, 'the database does not exist on the server', 'See psql --list for the databases of the server.'),
  connection_lost: entry(1, true, 'an established connection ended unexpectedly', 'See the server’s log for the reason, then run again.'),
  pooled_connection: entry(
    1,
    false,
    'a pooler gives each transaction another server process',
    'Connect to the PostgreSQL server itself, or to a pool in session mode.',
  ),
  preflight_failed: entry(1, false, 'a check before the run found that it would fail', 'See dbbackup preflight for all checks.'),
  permission_denied: entry(1, false, 'the role lacks a privilege', 'Grant it, for example: GRANT pg_read_all_data TO <role>.'),
  server_error: entry(1, false, 'the server reported an error'),
  protocol_violation: entry(1, false, 'the server sent a message the protocol does not allow here'),
  lock_not_available: entry(
    1,
    true,
    'a relation is locked by another session',
    'Wait until the other session has finished, then run again.',
  ),
  lock_yielded: entry(
    1,
    true,
    'the run ended because another session waits for a lock that it holds',
    'Run it again when the other session is done; --on-lock-queue warn lets the other session wait.',
  ),
  relation_changed: entry(
    1,
    true,
    'a relation was rewritten or replaced while it was being read',
    'Run the backup again when no DDL is running.',
  ),
  role_changed: entry(
    1,
    true,
    'a role or tablespace that the backup needs was dropped or renamed while it began',
    'Run the backup again when no roles are being dropped or renamed.',
  ),
  recovery_conflict: entry(
    1,
    true,
    'a standby ended the backup’s session so that recovery could go on',
    'Set max_standby_streaming_delay = -1 (or longer than a backup takes) or hot_standby_feedback = on on the standby, then run again; or back up the primary.',
  ),
  snapshot_invalid: entry(
    1,
    false,
    'the exported snapshot is gone',
    'See docs/reliability.md, "The keeper", for what ends a snapshot, and the server’s log; then run again.',
  ),
  snapshot_lost: entry(
    1,
    false,
    'the run’s snapshot is gone, so it cannot be continued as one',
    'With --allow-mixed what was read stays and the rest is read under a new snapshot; or start a new backup.',
  ),
  row_too_large: entry(
    1,
    false,
    'a row is larger than COPY can send (1 GB in sum)',
    'Use --format binary if the table allows it, or split the value.',
  ),
  page_damaged: entry(1, false, 'the server cannot read a page of a relation', 'Repair the relation or restore it from an older backup.'),
  value_unsupported: entry(1, false, 'the database holds something this version cannot save'),
  disk_full: entry(1, true, 'no space is left on the device', 'Free space or choose another --output-dir.'),
  io_error: entry(1, false, 'a file could not be read or written', 'Check the path and the file system.'),
  not_writable: entry(1, false, 'a directory cannot be written', 'Check its owner and mode.'),
  memory_limit_too_small: entry(2, false, 'the memory limit leaves no room for the block pool', 'Raise --memory-limit or lower --jobs.'),
  repository_not_found: entry(10, false, 'the repository does not exist', 'Check --output-dir.'),
  not_a_repository: entry(10, false, 'the directory is not a dbbackup repository', 'Choose an empty directory or an existing repository.'),
  backup_not_found: entry(10, false, 'no backup has this ID', 'See dbbackup list.'),
  backup_unfinished: entry(10, false, 'the backup has no manifest: its run did not finish', 'See dbbackup list --unfinished.'),
  keeper_not_found: entry(10, false, 'no keeper of this backup runs here', 'See dbbackup keeper list.'),
  not_resumable: entry(10, false, 'the run cannot be continued, or not as asked', 'See dbbackup list --unfinished; or start a new backup.'),
  locked: entry(11, true, 'another process works on this backup'),
  manifest_damaged: entry(20, false, 'the manifest is not what was written', 'Use another copy of this backup.'),
  format_unsupported: entry(1, false, 'the backup was written in a format this version does not know', 'Use a newer dbbackup.'),
  path_unsafe: entry(20, false, 'a path in the manifest leaves the backup', 'Somebody has changed this backup: use another copy of it.'),
  data_damaged: entry(20, false, 'a data file is missing or is not what was written', 'Restore from another copy of this backup.'),
  content_differs: entry(20, false, 'the restored rows are not the rows that were backed up'),
  tools_missing: entry(
    1,
    false,
    'a PostgreSQL client tool was not found',
    'Install the PostgreSQL client tools or name their directory with --pg-bin-dir.',
  ),
  tools_too_old: entry(
    1,
    false,
    'the PostgreSQL client tools are older than needed',
    'Install the client tools of the server’s major version or newer.',
  ),
  tool_failed: entry(1, false, 'a PostgreSQL client tool ended with an error'),
  target_not_empty: entry(
    1,
    false,
    'the target database already holds relations',
    'Restore into an empty database, or use --create, or --clean --yes.',
  ),
  nothing_to_resume: entry(1, false, 'there is no interrupted run to go on with', 'Begin anew, without --resume.'),
  run_differs: entry(
    2,
    false,
    'the interrupted run was begun with other options or elsewhere',
    'Go on with the options it was begun with, or begin anew.',
  ),
  target_exists: entry(1, false, 'the database or schema to create exists already', 'Choose another --target-db or leave --create out.'),
  target_in_use: entry(
    1,
    true,
    'a database that is to be dropped is in use',
    'End its sessions and drop its subscriptions, replication slots and prepared transactions, then run again.',
  ),
  definitions_missing: entry(
    1,
    false,
    'the backup does not hold the section that is to be restored',
    'Restore what it holds, for example with --data-only; dbbackup show tells it.',
  ),
  target_incompatible: entry(
    1,
    false,
    'a table of the target cannot take the rows of the backup',
    'Create it as it was, for example with --schema-only, or leave it out with --exclude-table.',
  ),
  triggers_in_the_way: entry(
    1,
    false,
    'triggers or foreign keys of the target would act on the rows that are loaded',
    'Restore as a superuser, or let the role set session_replication_role (PostgreSQL 15), or use --disable-triggers.',
  ),
  triggers_disabled: entry(
    1,
    false,
    'triggers that were disabled for a load could not be enabled again',
    'Run the statements that the message gives, or ALTER TABLE ... ENABLE TRIGGER, as an owner of the tables.',
  ),
  constraint_violated: entry(
    1,
    false,
    'rows that were loaded violate a foreign key',
    'Load the rows they refer to as well, or delete them.',
  ),
  rename_unsafe: entry(
    1,
    false,
    'a schema cannot be renamed, because something mentions it in text',
    'Restore without --map-schema and rename by hand.',
  ),
  type_missing: entry(
    1,
    false,
    'the target lacks an extension or type that the backup needs',
    'Install the extension on the target server.',
  ),
  role_missing: entry(
    1,
    false,
    'a role that the backup, or --role, names does not exist',
    'Create the role on the target server, then restore into an empty database.',
  ),
  timeout: entry(1, true, 'the time allowed has passed'),
  cancelled: entry(130, false, 'the run was cancelled'),
  addon_unavailable: entry(1, false, 'the native engine could not be loaded', 'Run npm ci && npm run build.'),
  internal: entry(1, false, 'a defect in dbbackup', 'Please report it with the log.'),
} as const satisfies Record<string, ErrorCodeEntry>;

export type ErrorCode = keyof typeof errorCodes;

/** True when `code` is one of the catalogue. */
export const isErrorCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(errorCodes, code);
