import { afterFailure } from '../catalog/after-failure.js';
import { introspect } from '../catalog/introspect.js';
import type { Catalog, Relation } from '../catalog/model.js';
import { prelude } from '../catalog/prelude.js';
import { checkPrivileges } from '../catalog/privileges.js';
import { queryRow, toNumber, toText } from '../catalog/rows.js';
import { readScope, wholeScope } from '../catalog/scope.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import { type Finding, fail, ok } from '../core/findings.js';
import type { Session } from '../native/session.js';
import { planBackup } from '../planner/backup-plan.js';
import type { BackupPlan } from '../planner/plan.js';
import { judgeRows, judgeSplitting, type LargestRow } from '../preflight/table-findings.js';
import { rowSizeSql } from './largest-row.js';
import type { BackupOptions } from './options.js';
import { withSession } from './sessions.js';
import { toBackupSettings } from './settings.js';

/** An error as what a check found. What stops the preflight itself is thrown on. */
export const toFailedFinding = (check: string, error: unknown): Finding => {
  const { code, message, hint } = toDbbackupError(error);
  if (code === 'cancelled' || code === 'internal') throw error;
  return fail(check, message, hint ?? 'See the server’s message.');
};

/** Values that are stored apart: below this there can hardly be a large row. */
const minToastBytes = 4 * 1024 ** 2;
/** Heaps up to this are looked through as a whole, larger ones by so many of their blocks. */
const maxScanBytes = 256 * 1024 ** 2;
/** Tables with the most such values are looked through. */
const maxScanned = 50;
const scanLimitMs = 5000;

/**
 * What a database's tables mean for its backup: privileges, an import of a snapshot into a second session, tables that cannot be split, the largest rows.
 * `overrides` lead a second session to the same database. The session keeps no transaction.
 */
export const examineDatabase = async (
  options: BackupOptions,
  session: Session,
  overrides: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<{ readonly findings: readonly Finding[]; readonly relationCount: number; readonly isReadable: boolean }> => {
  const settings = toBackupSettings(options);
  for (const sql of prelude('UTF8')) await session.query(sql);
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const end = () => session.query('ROLLBACK');
  try {
    const scope = settings.scope === undefined ? wholeScope : await readScope(session, settings.scope, session.info().database);
    const findings = [await examinePrivileges(session, scope), await examineSnapshot(options, session, overrides, signal)];
    const isReadable = findings.every(({ status }) => status !== 'fail');
    if (!isReadable) {
      await end();
      return { findings, relationCount: 0, isReadable };
    }
    const catalog = await introspect(session, scope);
    const plan = planBackup(catalog, settings);
    const rows = await examineRows(session, catalog, plan);
    await end();
    return {
      findings: [...findings, judgeSplitting(plan, settings.chunkSizeBytes), rows],
      relationCount: catalog.relations.length,
      isReadable,
    };
  } catch (error) {
    throw await afterFailure(error, end);
  }
};

const examinePrivileges = async (session: Session, scope: Parameters<typeof checkPrivileges>[1]): Promise<Finding> => {
  try {
    await checkPrivileges(session, scope);
    return ok('privileges', `role ${session.info().user} may read every table and sequence in full`);
  } catch (error) {
    if (!(error instanceof DbbackupError && error.code === 'permission_denied')) throw error;
    return toFailedFinding('privileges', error);
  }
};

const examineSnapshot = async (
  options: BackupOptions,
  session: Session,
  overrides: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<Finding> => {
  try {
    const snapshot = toText(await queryRow(session, 'SELECT pg_catalog.pg_export_snapshot()'), 0);
    await withSession(options.connection, { applicationName: 'dbbackup preflight', signal, overrides }, async (second) => {
      await second.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      await second.query(`SET TRANSACTION SNAPSHOT '${snapshot.replaceAll("'", "''")}'`);
      await second.query('ROLLBACK');
    });
    return ok('snapshot', `a second session imported snapshot ${snapshot}`);
  } catch (error) {
    return toFailedFinding('snapshot', error);
  }
};

const examineRows = async (session: Session, catalog: Catalog, plan: BackupPlan): Promise<Finding> => {
  const relations = new Map(catalog.relations.map((relation) => [relation.oid, relation]));
  const candidates = plan.relations
    .flatMap((planned) => {
      const relation = relations.get(planned.oid);
      return relation === undefined || relation.toastBytes < minToastBytes || relation.columns.length === 0 ? [] : [{ planned, relation }];
    })
    .sort((a, b) => b.relation.toastBytes - a.relation.toastBytes)
    .slice(0, maxScanned);
  const rows: LargestRow[] = [];
  let isPartial = false;
  await session.query(`SET LOCAL lock_timeout TO '1s'`);
  for (const { planned, relation } of candidates) {
    const share = Math.min(1, maxScanBytes / Math.max(1, relation.heapBytes));
    isPartial ||= share < 1;
    const found = await findLargestRow(session, relation, planned.format, share);
    if (found === null) isPartial = true;
    else if (found !== undefined) rows.push({ relation: planned, ...found });
  }
  return judgeRows(rows, { count: candidates.length, isPartial });
};

/** Undefined where there is no row, null where the time did not suffice or somebody has locked the table. */
const findLargestRow = async (
  session: Session,
  relation: Relation,
  format: 'binary' | 'text',
  share: number,
): Promise<{ readonly ctid: string; readonly rawBytes: number } | null | undefined> => {
  const sample = share < 1 ? `TABLESAMPLE SYSTEM (${(share * 100).toFixed(9)})` : '';
  await session.query(`SAVEPOINT dbbackup_rows; SET LOCAL statement_timeout TO ${scanLimitMs}`);
  try {
    const sql = `SELECT ctid, ${rowSizeSql(relation, format)} AS bytes FROM ONLY ${relation.quotedName} ${sample} ORDER BY bytes DESC LIMIT 1`;
    const row = (await session.query(sql)).rows[0];
    await session.query('RELEASE SAVEPOINT dbbackup_rows; SET LOCAL statement_timeout TO 0');
    return row === undefined ? undefined : { ctid: toText(row, 0), rawBytes: toNumber(row, 1) };
  } catch (error) {
    const { sqlstate } = toDbbackupError(error).details;
    // query_canceled by the time limit, lock_not_available.
    if (sqlstate !== '57014' && sqlstate !== '55P03') throw error;
    await session.query('ROLLBACK TO SAVEPOINT dbbackup_rows');
    return null;
  }
};
