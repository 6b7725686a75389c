import { setTimeout as sleep } from 'node:timers/promises';
import { toLiteral } from '../catalog/names.js';
import { DbbackupError } from '../core/errors.js';
import { toStableText } from '../core/stable-text.js';
import type { Session } from '../native/session.js';
import type { Present } from './restore-scope.js';

/**
 * What a restore has done, kept in its target: a chunk's transaction first notes the chunk under a primary key and then copies its rows, so that either both are there or
 * neither. A restore that was interrupted goes on from it exactly once, and it is dropped at the end. `docs/reliability.md`, section "A restore goes on".
 */
export const ledgerSchema = 'dbbackup_restore';

/** Which restore it is, and what it found: a resumed one must decide as the first one did. */
export interface LedgerRun {
  readonly backupId: string;
  /** Number of the database within the backup. */
  readonly database: number;
  /** Everything that decides what is done, by the name of its option. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly present: Present;
  /** Definitions come in one transaction: they are there or not. */
  readonly isAtomic: boolean;
}

export interface RestoreLedger {
  /** A part that was finished by this run or an earlier one. */
  isDone(part: string): boolean;
  /** A statement that notes a part, for the transaction that brings it; null where no ledger is kept. */
  noteSql(part: string): string | null;
  /** Notes a part that has been finished. */
  note(part: string): Promise<void>;
  /** Parts that begin with this text. */
  list(prefix: string): readonly string[];
  /** Ends a ledger in which nothing is noted: another run has nothing to go on with. */
  dropIfEmpty(): Promise<void>;
  /** A statement that ends the ledger; null where none is kept. */
  readonly dropSql: string | null;
}

export const segmentPart = (relationOid: number, segment: number): string => `rows ${relationOid} ${segment}`;
export const largeObjectPart = (step: string, segment: number): string => `large objects ${step} ${segment}`;
export const definitionsPart = 'definitions';
/** Of a cluster: the database is complete, and so are all. */
export const contentsPart = 'contents';
export const everythingPart = 'everything';
/** What is to be done at the end whatever happens: a statement that puts a trigger back. */
export const triggerPrefix = 'trigger ';

/** A database may be set to begin its transactions as read-only. */
const allowWrites = (session: Session) => session.query('SET default_transaction_read_only TO off');

/** For a session whose `client_encoding` is UTF8, and of ASCII text for any other. */
const quote = (text: string): string => toLiteral(text, 'UTF8');

/** JSON in ASCII: what was typed need not be of the database's encoding. */
const toAsciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

class TableLedger implements RestoreLedger {
  readonly #session: Session;
  readonly #done: Set<string>;
  readonly dropSql = `DROP SCHEMA ${ledgerSchema} CASCADE`;

  constructor(session: Session, done: Iterable<string>) {
    this.#session = session;
    this.#done = new Set(done);
  }

  isDone(part: string): boolean {
    return this.#done.has(part);
  }

  noteSql(part: string): string {
    return `INSERT INTO ${ledgerSchema}.done VALUES (${quote(part)})`;
  }

  async note(part: string): Promise<void> {
    await this.#session.query(`${this.noteSql(part)} ON CONFLICT DO NOTHING`);
    this.#done.add(part);
  }

  async dropIfEmpty(): Promise<void> {
    const { rows } = await this.#session.query(
      `SELECT EXISTS (SELECT FROM ${ledgerSchema}.done WHERE NOT pg_catalog.starts_with(part, '${triggerPrefix}'))`,
    );
    if (rows[0]?.[0] === 'f') await this.#session.query(this.dropSql);
  }

  list(prefix: string): readonly string[] {
    return [...this.#done].filter((part) => part.startsWith(prefix));
  }
}

/** For a role that may create no schema: such a restore cannot be resumed. */
export const noLedger: RestoreLedger = {
  isDone: () => false,
  noteSql: () => null,
  note: async () => undefined,
  list: () => [],
  dropIfEmpty: async () => undefined,
  dropSql: null,
};

/** Begins the ledger of a new restore. The session keeps it to itself as long as it lasts. */
export const beginLedger = async (session: Session, run: LedgerRun): Promise<RestoreLedger> => {
  const allowed = await session.query("SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')");
  if (allowed.rows[0]?.[0] !== 't') return noLedger;
  await allowWrites(session);
  const { relationOids, schemaOids, isEmpty } = run.present;
  const text = toAsciiJson({ ...run, present: { isEmpty, relationOids: [...relationOids], schemaOids: [...schemaOids] } });
  await session.query(
    [
      'BEGIN',
      `CREATE SCHEMA ${ledgerSchema}`,
      `CREATE TABLE ${ledgerSchema}.run (facts pg_catalog.text NOT NULL, started_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now())`,
      `CREATE TABLE ${ledgerSchema}.done (part pg_catalog.text PRIMARY KEY)`,
      `INSERT INTO ${ledgerSchema}.run (facts) VALUES (${quote(text)})`,
      'COMMIT',
    ].join(';\n'),
  );
  await takeLedger(session);
  return new TableLedger(session, []);
};

/** Whether the target holds a ledger: of whichever restore. */
export const hasLedger = async (session: Session): Promise<boolean> =>
  (await session.query(`SELECT pg_catalog.to_regclass('${ledgerSchema}.run') IS NOT NULL`)).rows[0]?.[0] === 't';

/** Whether the target's ledger notes a part. */
export const isNoted = async (session: Session, part: string): Promise<boolean> =>
  (await session.query(`SELECT FROM ${ledgerSchema}.done WHERE part = $1`, [part])).rows.length > 0;

/** Notes in one database of a cluster that all of them are complete. Does nothing where no ledger is kept. */
export const noteEverything = async (session: Session): Promise<void> => {
  await allowWrites(session);
  if (await hasLedger(session)) await session.query(`INSERT INTO ${ledgerSchema}.done VALUES ('${everythingPart}') ON CONFLICT DO NOTHING`);
};

/** Does nothing where there is none. */
export const endLedger = async (session: Session): Promise<void> => {
  await allowWrites(session);
  await session.query(`DROP SCHEMA IF EXISTS ${ledgerSchema} CASCADE`);
};

/** Forgets a restore. Errors: `locked` while it runs. */
export const dropLedger = async (session: Session): Promise<void> => {
  await takeLedger(session);
  await allowWrites(session);
  await session.query(`DROP SCHEMA ${ledgerSchema} CASCADE`);
};

/** What the target's ledger says of the restore that began it. Errors: `nothing_to_resume`. */
export const readLedgerRun = async (session: Session): Promise<LedgerRun> => {
  const { database } = session.info();
  const facts = (await hasLedger(session)) ? (await session.query(`SELECT facts FROM ${ledgerSchema}.run`)).rows[0]?.[0] : undefined;
  if (typeof facts !== 'string')
    throw new DbbackupError('nothing_to_resume', `database ${JSON.stringify(database)} holds no unfinished restore`, {
      details: { object: database },
    });
  // Only a role that may create schemas here wrote it.
  const run = JSON.parse(facts) as Omit<LedgerRun, 'present'> & {
    readonly present: { readonly isEmpty: boolean; readonly relationOids: readonly number[]; readonly schemaOids: readonly number[] };
  };
  const { isEmpty, relationOids, schemaOids } = run.present;
  return { ...run, present: { isEmpty, relationOids: new Set(relationOids), schemaOids: new Set(schemaOids) } };
};

/** Goes on with a ledger. What an earlier run has left at work on the server is ended first. Errors: `run_differs` naming each difference, `locked` while the other one runs. */
export const resumeLedger = async (session: Session, known: LedgerRun, wanted: LedgerRun): Promise<RestoreLedger> => {
  const differences = listDifferences(known, wanted);
  if (differences.length > 0) {
    const { database } = session.info();
    throw new DbbackupError('run_differs', `the restore into ${JSON.stringify(database)} was begun otherwise: ${differences.join('; ')}`, {
      details: { object: database },
    });
  }
  await takeLedger(session);
  await allowWrites(session);
  await endLeftovers(session);
  // Waits for every transaction that has noted something, of a session that is not known to have ended too: what is committed afterwards is all there is.
  await session.query(`BEGIN; LOCK TABLE ${ledgerSchema}.done IN SHARE ROW EXCLUSIVE MODE; COMMIT`);
  const { rows } = await session.query(`SELECT part FROM ${ledgerSchema}.done`);
  return new TableLedger(
    session,
    rows.map(([part]) => part ?? ''),
  );
};

const listDifferences = (known: LedgerRun, wanted: LedgerRun): readonly string[] => {
  if (known.backupId !== wanted.backupId) return [`of backup ${known.backupId}`];
  if (known.database !== wanted.database) return ['of another database of the backup'];
  const names = [...new Set([...Object.keys(known.options), ...Object.keys(wanted.options)])];
  return names
    .filter((name) => toStableText(known.options[name]) !== toStableText(wanted.options[name]))
    .map((name) => `${name} was ${JSON.stringify(known.options[name] ?? null)}, not ${JSON.stringify(wanted.options[name] ?? null)}`);
};

/** Held until the session ends. */
const takeLedger = async (session: Session): Promise<void> => {
  const { rows } = await session.query(
    `SELECT pg_catalog.pg_try_advisory_lock('${ledgerSchema}.run'::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int4, 0)`,
  );
  if (rows[0]?.[0] === 't') return;
  const { database } = session.info();
  throw new DbbackupError('locked', `another restore into ${JSON.stringify(database)} is running`, {
    details: { object: database, hint: 'Wait for it, or end it: its sessions are in pg_stat_activity.' },
  });
};

const leftoverMs = 30_000;
const pollMs = 100;

/** Sessions of an earlier run's workers and client tools, which outlive a process that was killed: they would go on writing. */
const endLeftovers = async (session: Session): Promise<void> => {
  for (let waitedMs = 0; ; waitedMs += pollMs) {
    const { rows } = await session.query(
      `SELECT pid, pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND usename = session_user AND pid <> pg_catalog.pg_backend_pid()
  AND application_name = pg_catalog.current_setting('application_name') AND application_name LIKE 'dbbackup %'`,
    );
    if (rows.length === 0) return;
    if (waitedMs >= leftoverMs)
      throw new DbbackupError('locked', `server process ${rows[0]?.[0] ?? ''} of the interrupted restore does not end`, {
        details: { object: session.info().database, hint: 'End it with pg_terminate_backend, then try again.' },
      });
    await sleep(pollMs);
  }
};
