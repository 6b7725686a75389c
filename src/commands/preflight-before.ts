import { createEmit, systemClock } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import type { Finding } from '../core/findings.js';
import type { Session } from '../native/session.js';
import { judgeLocks } from '../preflight/server-findings.js';
import { examineServer } from './examine-server.js';
import type { BackupOptions, RunContext } from './options.js';

/** What a backup would only find out later, with a message that says less. All else that fails is told by the backup itself. */
const refusedChecks: ReadonlySet<string> = new Set(['pooler', 'connections', 'ulimits']);

/**
 * The part of a preflight that runs before every backup: what costs some milliseconds. Its Event tells what is not as it should be.
 * Errors: `pooled_connection`, `preflight_failed`.
 */
export const checkBefore = async (
  options: Pick<BackupOptions, 'connection' | 'jobs' | 'memoryLimitBytes'>,
  session: Session,
  outputPath: string,
  { onEvent }: RunContext,
  isWholeDatabase: boolean,
): Promise<void> => {
  const startedMs = systemClock.monotonicMs();
  const { facts, findings: found } = await examineServer(options, session, outputPath);
  // How many locks other databases and parts of one need is not known yet.
  const findings = isWholeDatabase ? [...found, judgeLocks(facts, facts.relationCount)] : found;
  createEmit([onEvent])({
    type: 'preflight.finished',
    elapsedMs: Math.round(systemClock.monotonicMs() - startedMs),
    findings: findings.filter(({ status }) => status !== 'ok'),
  });
  const refused = findings.find(({ check, status }) => status === 'fail' && refusedChecks.has(check));
  if (refused !== undefined) throw toRefusal(refused);
};

const toRefusal = ({ check, measured, remedy }: Finding): DbbackupError =>
  new DbbackupError(check === 'pooler' ? 'pooled_connection' : 'preflight_failed', measured, {
    details: { hint: `${remedy ?? ''} --no-preflight leaves this check out.`.trim() },
  });
