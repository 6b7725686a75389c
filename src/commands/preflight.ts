import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { canReadPasswords, listDatabases } from '../catalog/cluster.js';
import { prelude } from '../catalog/prelude.js';
import { systemClock } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import { sumEstimates } from '../core/estimates.js';
import { type Finding, type FindingStatus, fail, ok, toOverallStatus, warn } from '../core/findings.js';
import { formatPlural } from '../core/units.js';
import { processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { formatEstimate, judgeDisk } from '../preflight/disk-findings.js';
import { readServerFacts } from '../preflight/server-facts.js';
import { judgeLocks, judgeWraparound } from '../preflight/server-findings.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import { chooseTool, findTools, toMajor } from '../tools/find-tools.js';
import type { Tool, ToolName } from '../tools/tool.js';
import { type EstimateReport, estimateDatabase } from './estimate.js';
import { examineDatabase, toFailedFinding } from './examine-database.js';
import { examineServer } from './examine-server.js';
import type { BackupOptions, ClusterBackupOptions, RunContext } from './options.js';
import { toSameServer, withSession } from './sessions.js';
import { toBackupSettings } from './settings.js';

export interface PreflightReport {
  /** The gravest of the findings. */
  readonly status: FindingStatus;
  /** In the order of the checks; one that could not be made because of an earlier one is missing. */
  readonly findings: readonly Finding[];
  /** One for each database; none where its rows cannot be read, and before a restore. */
  readonly estimates: readonly EstimateReport[];
  readonly elapsedMs: number;
}

/**
 * Looks whether a backup with these options would succeed, and what it would need. Changes nothing: tables are neither locked nor written, no repository is created.
 * What would fail is a finding, not an error. Errors: `usage`, `cancelled`. Cost: that of `estimate`, and a pass over the main part of tables with large values.
 */
export const preflight = (options: BackupOptions, context: RunContext = {}): Promise<PreflightReport> =>
  runPreflight(options, context, ['pg_dump'], async (session) => ({
    findings: [],
    subjects: [{ name: session.info().database, isNamed: false, overrides: toSameServer(session), withOwnSession: (use) => use(session) }],
  }));

/** The same for all databases of a server. */
export const preflightCluster = (options: ClusterBackupOptions, context: RunContext = {}): Promise<PreflightReport> =>
  runPreflight(options, context, ['pg_dump', 'pg_dumpall'], async (session) => {
    for (const sql of prelude('UTF8')) await session.query(sql);
    const { names, leftOut } = await listDatabases(session, options.excludeDatabases ?? []);
    const subjects = names.map((name): Subject => {
      const overrides = { ...toSameServer(session), dbname: name };
      const settings = { applicationName: 'dbbackup preflight', signal: context.signal, overrides };
      return { name, isNamed: true, overrides, withOwnSession: (use) => withSession(options.connection, settings, use) };
    });
    const skipped = leftOut.map(({ name, reason }) =>
      warn('databases', `database ${JSON.stringify(name)} is left out: ${reason}`, 'Leave it out with --exclude-database.'),
    );
    return { subjects, findings: [...(await examinePasswords(options, session)), ...skipped] };
  });

/** Whether the hashes of roles' passwords can be saved. */
const examinePasswords = async (options: ClusterBackupOptions, session: Session): Promise<readonly Finding[]> => {
  if (options.arePasswordsLeftOut === true) return [];
  const { user } = session.info();
  if (await canReadPasswords(session)) return [ok('passwords', `role ${user} may read the hashes of passwords`)];
  const remedy = 'Back up as a superuser, or leave the password hashes out with --no-role-passwords.';
  return [fail('passwords', `role ${user} may not read the hashes of passwords in pg_authid`, remedy)];
};

interface Subjects {
  readonly subjects: readonly Subject[];
  readonly findings: readonly Finding[];
}

/** One database to be looked at. */
interface Subject {
  readonly name: string;
  readonly isNamed: boolean;
  readonly overrides: Readonly<Record<string, string>>;
  readonly withOwnSession: <T>(use: (session: Session) => Promise<T>) => Promise<T>;
}

const runPreflight = async (
  options: BackupOptions,
  context: RunContext,
  toolNames: readonly ToolName[],
  toSubjects: (session: Session) => Promise<Subjects>,
): Promise<PreflightReport> => {
  const startedMs = systemClock.monotonicMs();
  toBackupSettings(options);
  const findings: Finding[] = [await examineRepository(options.outputDir)];
  const estimates: EstimateReport[] = [];
  const tools = await findTools({ names: toolNames, binDir: options.pgBinDir, host: processHost, signal: context.signal });
  try {
    await withSession(options.connection, { applicationName: 'dbbackup preflight', signal: context.signal }, async (session) => {
      findings.push(describeConnection(session));
      await examineAll(options, context, session, { findings, estimates, tools, toolNames, toSubjects });
    });
  } catch (error) {
    findings.push(toFailedFinding(findings.some(({ check }) => check === 'connection') ? 'database' : 'connection', error));
  }
  return { status: toOverallStatus(findings), findings, estimates, elapsedMs: Math.round(systemClock.monotonicMs() - startedMs) };
};

interface Course {
  readonly findings: Finding[];
  readonly estimates: EstimateReport[];
  readonly tools: readonly Tool[];
  readonly toolNames: readonly ToolName[];
  readonly toSubjects: (session: Session) => Promise<Subjects>;
}

const examineAll = async (options: BackupOptions, { signal }: RunContext, session: Session, course: Course): Promise<void> => {
  const { findings, estimates, tools, toolNames, toSubjects } = course;
  const outputPath = resolve(options.outputDir);
  const { facts, machine, findings: found } = await examineServer(options, session, outputPath);
  findings.push(...found);
  findings.push(...toolNames.map((name) => examineTool(tools, name, facts.version)));
  if (findings.some(({ check, status }) => check === 'pooler' && status === 'fail')) return;
  let relationCount = 0;
  const { subjects, findings: others } = await toSubjects(session);
  findings.push(...others);
  for (const subject of subjects) {
    const name = (finding: Finding): Finding => (subject.isNamed ? { ...finding, database: subject.name } : finding);
    try {
      await subject.withOwnSession(async (own) => {
        if (subject.isNamed) findings.push(name(judgeWraparound(await readServerFacts(own))));
        const examined = await examineDatabase(options, own, subject.overrides, signal);
        relationCount += examined.relationCount;
        findings.push(...examined.findings.map(name));
        if (!examined.isReadable) return;
        const estimate = await estimateDatabase(options, own, signal, subject.overrides);
        estimates.push(estimate);
        findings.push(name(describeSize(estimate)));
      });
    } catch (error) {
      findings.push(name(toFailedFinding('database', error)));
    }
  }
  if (relationCount > 0) findings.push(judgeLocks(facts, relationCount));
  if (estimates.length > 0)
    findings.push(judgeDisk(machine.freeDiskBytes, sumEstimates(estimates.map(({ storedBytes }) => storedBytes)), outputPath));
};

/** Where and as whom. */
export const describeConnection = (session: Session): Finding => {
  const { host, port, user, database, serverVersion, isTls } = session.info();
  const version = `${toMajor(serverVersion)}.${serverVersion % 10_000}`;
  return ok(
    'connection',
    `PostgreSQL ${version} at ${host}:${port}, database ${database}, as ${user}, ${isTls ? 'with TLS' : 'without TLS'}`,
  );
};

const describeSize = ({ rawBytes, storedBytes, compression, relations }: EstimateReport): Finding =>
  ok(
    'size',
    `about ${formatEstimate(rawBytes)} raw, ${formatEstimate(storedBytes)} stored with ${compression}, in ${formatPlural(relations.length, 'relation')}`,
  );

/** Whether a client tool of the server's version is there. */
export const examineTool = (tools: readonly Tool[], name: ToolName, serverVersion: number): Finding => {
  try {
    const { path, version } = chooseTool(tools, name, toMajor(serverVersion));
    return ok('tools', `${path} is version ${version}`);
  } catch (error) {
    return toFailedFinding('tools', error);
  }
};

/** Whether backups can be written there. Nothing is created. */
const examineRepository = async (outputDir: string): Promise<Finding> => {
  const storage = openLocalStorage(outputDir);
  let isNew = false;
  try {
    await openRepository(storage);
  } catch (error) {
    if (!(error instanceof DbbackupError && error.code === 'repository_not_found')) return toFailedFinding('repository', error);
    isNew = true;
  }
  const place = await findExisting(storage.location);
  try {
    await access(place, constants.W_OK | constants.X_OK);
  } catch {
    // Whatever the reason is, it is one against writing there.
    return fail('repository', `${place} cannot be written`, 'Check its owner and mode.');
  }
  return ok('repository', isNew ? `${storage.location} will be created` : `${storage.location} is a repository and can be written`);
};

/** The path or the nearest directory above it that is there. */
const findExisting = async (path: string): Promise<string> => {
  for (let at = path; ; at = dirname(at)) {
    const isThere = await access(at).then(
      () => true,
      () => false,
    );
    if (isThere || dirname(at) === at) return at;
  }
};
