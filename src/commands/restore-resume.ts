import { afterFailure } from '../catalog/after-failure.js';
import { readLockRoom } from '../catalog/lock-room.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import { isNarrowed, type Selection } from '../core/selection.js';
import type { Session } from '../native/session.js';
import type { RestoreOptions } from './options.js';
import type { RestoreChoice } from './restore-choice.js';
import {
  beginLedger,
  definitionsPart,
  dropLedger,
  hasLedger,
  type LedgerRun,
  ledgerSchema,
  type RestoreLedger,
  readLedgerRun,
  resumeLedger,
} from './restore-ledger.js';
import { findPresent, type RestoreScope } from './restore-scope.js';
import { findUserObject } from './target.js';

/**
 * The restore that was interrupted in this database; null where a new one begins. One that is not to be gone on with is forgotten where what it has brought is gone or is
 * refused for itself, as rows are in tables that must be empty. Errors: `target_not_empty` where it is not, `nothing_to_resume` for a database that holds something else,
 * `locked` while it runs.
 */
export const findRun = async (session: Session, options: RestoreOptions, { selection }: RestoreChoice): Promise<LedgerRun | null> => {
  const isThere = await hasLedger(session);
  if (options.isResuming === true) return isThere || (await findUserObject(session)) !== null ? readLedgerRun(session) : null;
  if (!isThere) return null;
  const isWhole = selection.sections.includes('pre-data') && !isNarrowed(selection);
  if (options.isAppending !== true && !(isWhole && (await findUserObject(session, ledgerSchema)) !== null)) {
    await dropLedger(session);
    return null;
  }
  const { database } = session.info();
  throw new DbbackupError('target_not_empty', `a restore into database ${JSON.stringify(database)} was interrupted`, {
    details: {
      object: database,
      hint: `Go on with it: the same command with --resume. Or drop the database, or what it has brought and the schema ${ledgerSchema}, and begin anew.`,
    },
  });
};

/** What decides which part of a backup is brought, and how. */
export const toDecisions = (options: RestoreOptions, selection: Selection): LedgerRun['options'] => ({
  selection,
  'no-owner': options.isOwnerDropped === true,
  'no-privileges': options.arePrivilegesDropped === true,
  'no-tablespaces': options.areTablespacesLeftOut === true,
  role: options.connection.role ?? null,
  append: options.isAppending === true,
  'disable-triggers': options.areTriggersDisabled === true,
  'load-via-partition-root': options.isLoadingViaRoot === true,
  'map-schema': options.schemaMap ?? {},
});

export interface OpenedLedger {
  readonly ledger: RestoreLedger;
  readonly areDefinitionsAtomic: boolean;
}

/** Begins a ledger, or goes on with the one that is `known`. Errors: as `resumeLedger`, and `target_not_empty` where definitions were interrupted that could not be one transaction. */
export const openLedger = async (
  session: Session,
  {
    known,
    run,
    scope,
    choice,
  }: {
    readonly known: LedgerRun | null;
    readonly run: Omit<LedgerRun, 'isAtomic'>;
    readonly scope: RestoreScope;
    readonly choice: RestoreChoice;
  },
): Promise<OpenedLedger> => {
  if (known === null) {
    const isAtomic = await fitsOneTransaction(session, scope);
    return { ledger: await beginLedger(session, { ...run, isAtomic }), areDefinitionsAtomic: isAtomic };
  }
  const ledger = await resumeLedger(session, known, { ...run, isAtomic: known.isAtomic });
  if (
    choice.selection.sections.includes('pre-data') &&
    !ledger.isDone(definitionsPart) &&
    (await areDefinitionsThere(session, known, scope, choice))
  ) {
    if (!known.isAtomic) {
      const { database } = session.info();
      throw new DbbackupError('target_not_empty', `only some of the definitions were restored into database ${JSON.stringify(database)}`, {
        details: { object: database, hint: 'No rows were loaded yet: drop the database and begin anew.' },
      });
    }
    await ledger.note(definitionsPart);
  }
  return { ledger, areDefinitionsAtomic: known.isAtomic };
};

const areDefinitionsThere = async (
  session: Session,
  known: LedgerRun,
  scope: RestoreScope,
  { selection }: RestoreChoice,
): Promise<boolean> => {
  if (!isNarrowed(selection)) return (await findUserObject(session, ledgerSchema)) !== null;
  const { relationOids } = await findPresent(session, scope.database);
  return [...relationOids].some((oid) => !known.present.relationOids.has(oid));
};

/** A table, its TOAST table and that one's index. */
const locksPerTable = 3;

/** Whether the server's lock table has room for all that the definitions create, beside what others hold. */
const fitsOneTransaction = async (session: Session, { entries }: RestoreScope): Promise<boolean> => {
  const needed = entries.reduce((sum, { type }) => sum + (type === 'TABLE' || type === 'MATERIALIZED VIEW' ? locksPerTable : 1), 0);
  return needed * 2 <= (await readLockRoom(session));
};

/** Runs a restore; one that fails before it has brought anything leaves no ledger. */
export const withLedger = async <T>(ledger: RestoreLedger, restore: () => Promise<T>): Promise<T> => {
  try {
    return await restore();
  } catch (error) {
    const failure = toDbbackupError(error);
    // A session that was stopped answers nothing; the next restore forgets such a ledger.
    if (failure.code === 'cancelled' || failure.code === 'connection_lost') throw failure;
    throw await afterFailure(failure, () => ledger.dropIfEmpty());
  }
};
