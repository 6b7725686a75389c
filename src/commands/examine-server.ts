import type { Finding } from '../core/findings.js';
import { defaultMemoryLimitBytes } from '../engine/memory-budget.js';
import type { Session } from '../native/session.js';
import { type MachineFacts, readMachineFacts } from '../preflight/machine-facts.js';
import { judgeMemory, judgeOpenFiles } from '../preflight/machine-findings.js';
import { examinePooler } from '../preflight/pooler.js';
import { readServerFacts, type ServerFacts } from '../preflight/server-facts.js';
import { judgeConnections, judgeOldSnapshots, judgeStandby, judgeTransactions, judgeWraparound } from '../preflight/server-findings.js';
import type { BackupOptions, ConnectionOptions } from './options.js';
import { toSameServer, withSession } from './sessions.js';
import { toJobs } from './settings.js';

/** A second session that does not come by then is one too many for the pool. */
const secondSessionMs = 3000;

export interface ServerExamination {
  readonly facts: ServerFacts;
  readonly machine: MachineFacts;
  readonly findings: readonly Finding[];
}

/** Whether a pooler stands between this session and the server. Cost: through one, a second connection to the same database. */
export const examineOwnPooler = (connection: ConnectionOptions, session: Session, { backendPid }: ServerFacts): Promise<Finding> => {
  const overrides = { ...toSameServer(session), dbname: session.info().database };
  return examinePooler(session, {
    toldPid: session.info().backendPid,
    firstPid: backendPid,
    withSecondSession: (use) =>
      withSession(connection, { applicationName: 'dbbackup preflight', signal: AbortSignal.timeout(secondSessionMs), overrides }, use),
  });
};

/** What the server and this machine tell without looking at any table. Cost: two round trips and some files of /proc; through a pooler a second connection. */
export const examineServer = async (
  options: Pick<BackupOptions, 'connection' | 'jobs' | 'memoryLimitBytes'>,
  session: Session,
  outputPath: string,
): Promise<ServerExamination> => {
  const [facts, machine] = await Promise.all([readServerFacts(session), readMachineFacts(outputPath)]);
  const jobs = toJobs(options.jobs);
  const pooler = await examineOwnPooler(options.connection, session, facts);
  const findings = [
    pooler,
    judgeConnections(facts, jobs),
    ...judgeOldSnapshots(facts),
    judgeTransactions(facts),
    judgeWraparound(facts),
    judgeStandby(facts),
    judgeMemory(machine, options.memoryLimitBytes ?? defaultMemoryLimitBytes),
    judgeOpenFiles(machine, jobs),
  ];
  return { facts, machine, findings };
};
