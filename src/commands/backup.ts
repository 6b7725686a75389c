import { randomInt } from 'node:crypto';
import { checkScope } from '../catalog/scope.js';
import { systemClock } from '../core/context.js';
import { createJournal } from '../manifest/journal.js';
import { processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { newBackupId } from '../storage/layout.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openOrCreateRepository } from '../storage/repository.js';
import { chooseTool, findTools, toMajor } from '../tools/find-tools.js';
import type { ToolName } from '../tools/tool.js';
import { type BackupParts, BackupRun } from './backup-run.js';
import type { BackupOptions, BackupReport, RunContext } from './options.js';
import { checkBefore } from './preflight-before.js';
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
    const source = {
      number: 1,
      name: database,
      overrides: {},
      access: session,
      withSession: <T>(use: (opened: Session) => Promise<T>) => use(session),
    };
    return { kind: 'single', title: database, stem: database, waves: [[source]], globals: null };
  });

/** What is to be backed up. */
export interface BackupScope extends Pick<BackupParts, 'kind' | 'title' | 'waves' | 'globals' | 'warnings'> {
  /** What the backup's ID begins with. */
  readonly stem: string;
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
    const { stem, ...scope } = await toScope(session, choose);
    // Before there is a run that could be left unfinished.
    if (settings.scope !== undefined) await checkScope(session, settings.scope);
    await openOrCreateRepository(storage);
    const id = newBackupId(stem, new Date(systemClock.nowMs()), randomInt);
    const journal = await createJournal(storage, id);
    const report = await new BackupRun({ id, options, settings, context, ...scope, pgDump, storage, journal }).run();
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
