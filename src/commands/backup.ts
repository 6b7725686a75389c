import { afterFailure } from '../catalog/after-failure.js';
import { readSystemIdentifier } from '../catalog/introspect.js';
import { checkScope } from '../catalog/scope.js';
import { processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import type { HeldLock } from '../resume/run-lock.js';
import type { RunRecord } from '../resume/run-record.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { toConnectionString } from '../tools/connection-string.js';
import { chooseTool, findTools, toMajor } from '../tools/find-tools.js';
import { type ToolName, toToolConnection } from '../tools/tool.js';
import { type BackupParts, BackupRun } from './backup-run.js';
import type { BackupSource } from './backup-source.js';
import { openRun } from './open-run.js';
import type { BackupOptions, BackupReport, RunContext } from './options.js';
import { checkBefore } from './preflight-before.js';
import { toRunOptions } from './run-options.js';
import { withSession } from './sessions.js';
import { toBackupSettings } from './settings.js';
import { verify } from './verify.js';

/**
 * Backs up one database under one snapshot. The backup exists once its manifest is written, which is the last thing that happens; a run that fails before leaves
 * its journal and finished files behind, listed as unfinished.
 *
 * Errors: those of connecting, `permission_denied`, `lock_not_available`, `relation_changed`, `tools_missing`, `tools_too_old`, `tool_failed`, `disk_full`,
 * `not_writable`, `not_a_repository`, `row_too_large`, `page_damaged`, `memory_limit_too_small`, `pooled_connection`, `preflight_failed`, `cancelled`.
 */
export const backup = (options: BackupOptions, context: RunContext = {}): Promise<BackupReport> =>
  runBackup(options, context, ['pg_dump'], async (session) => {
    const { database } = session.info();
    const withSession = <T>(use: (opened: Session) => Promise<T>): Promise<T> => use(session);
    const toSource: BackupScope['toSource'] = ({ number, name }) => ({ number, name, overrides: {}, access: session, withSession });
    return {
      kind: 'single',
      title: database,
      stem: database,
      databases: [{ number: 1, name: database, wave: 1 }],
      toSource,
      globals: null,
    };
  });

/** What is to be backed up. */
export interface BackupScope extends Pick<BackupParts, 'kind' | 'title' | 'globals' | 'warnings'> {
  /** What the backup's ID begins with. */
  readonly stem: string;
  /** Of a new run: one that is continued has those it began with. */
  readonly databases: RunRecord['databases'];
  readonly toSource: (database: RunRecord['databases'][number]) => BackupSource;
}

/** Runs a backup of what `toScope` finds with a session of the options' connection, which stays open; `tool` finds the others that are needed. */
export const runBackup = async (
  options: BackupOptions,
  context: RunContext,
  toolNames: readonly ToolName[],
  toScope: (session: Session, choose: (name: ToolName) => ReturnType<typeof chooseTool>) => Promise<BackupScope>,
): Promise<BackupReport> => {
  const settings = toBackupSettings(options);
  const { signal } = context;
  // They are looked for while the session connects. An error of connecting comes first.
  const finding = findTools({ names: toolNames, binDir: options.pgBinDir, host: processHost, signal });
  finding.catch(() => undefined);
  return withSession(options.connection, { applicationName: 'dbbackup', signal }, async (session) => {
    const tools = await finding;
    const choose = (name: ToolName) => chooseTool(tools, name, toMajor(session.info().serverVersion));
    const pgDump = choose('pg_dump');
    const storage = openLocalStorage(options.outputDir);
    if (options.isPreflightLeftOut !== true)
      await checkBefore(options, session, storage.location, context, toolNames.length === 1 && settings.scope === undefined);
    const scope = await toScope(session, choose);
    // Before there is a run that could be left unfinished.
    if (settings.scope !== undefined) await checkScope(session, settings.scope);
    const { host, port } = session.info();
    const run = await openRun({
      ...scope,
      server: { systemIdentifier: await readSystemIdentifier(session), host, port },
      connection: toConnectionString(toToolConnection(session)),
      options: toRunOptions(options, settings),
      backupOptions: options,
      settings,
      storage,
      signal,
    });
    const { id, title, databases, lock, journal, resumed } = run;
    const waves = groupByWave(databases, scope.toSource);
    const { kind, globals, warnings = [] } = scope;
    const parts = { id, title, kind, waves, globals, warnings, options, settings, context, pgDump, storage, journal, resumed };
    const report = await withLock(lock, () => new BackupRun(parts).run());
    if (options.isVerifying !== true) return report;
    const { jobs, memoryLimitBytes } = options;
    const verified = await verify(
      {
        id,
        outputDir: options.outputDir,
        ...(jobs === undefined ? {} : { jobs }),
        ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
      },
      context,
    );
    return { ...report, verified };
  });
};

const withLock = async <T>(lock: HeldLock, use: () => Promise<T>): Promise<T> => {
  let result: T;
  try {
    result = await use();
  } catch (error) {
    throw await afterFailure(error, () => lock.release());
  }
  await lock.release();
  return result;
};

const groupByWave = (databases: RunRecord['databases'], toSource: BackupScope['toSource']): BackupParts['waves'] =>
  [...new Set(databases.map(({ wave }) => wave))]
    .sort((a, b) => a - b)
    .map((number) => databases.filter(({ wave }) => wave === number).map(toSource));
