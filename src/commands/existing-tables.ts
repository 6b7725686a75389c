import { afterFailure } from '../catalog/after-failure.js';
import { displayName } from '../catalog/names.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import type { ManifestDatabase, ManifestRelation } from '../manifest/schema.js';
import type { Session } from '../native/session.js';
import { foreignKeyChecksQuery } from '../restore-kit/foreign-keys-sql.js';
import { toTextArray } from './restore-scope.js';

/** Loading into tables that exist already: what must be true before, what is switched off meanwhile, what is proved afterwards. */

/** A relation of the backup and its OID in the target. */
export interface ExistingTable {
  readonly relation: ManifestRelation;
  readonly oid: string;
  /** Quoted by the server. */
  readonly quotedName: string;
}

const batchSize = 200;

/**
 * The target's tables of the relations whose rows are to be loaded. Errors: `target_incompatible` naming the first table that is missing, is of another kind or lacks a column;
 * `target_not_empty` for one that holds rows, unless `isAppending`. `toTarget`: the table that a relation's rows go through. Cost: some round trips for each 200 relations.
 */
export const findExistingTables = async (
  session: Session,
  database: ManifestDatabase,
  isAppending: boolean,
  toTarget: (relation: ManifestRelation) => ManifestRelation,
): Promise<readonly ExistingTable[]> => {
  const loaded = [...new Set(database.relations.filter(({ segments }) => segments.length > 0).map(toTarget))];
  const tables: ExistingTable[] = [];
  for (let begin = 0; begin < loaded.length; begin += batchSize) {
    const batch = loaded.slice(begin, begin + batchSize);
    const { rows } = await session.query(tablesQuery, [
      toTextArray(batch.map(({ schema }) => schema)),
      toTextArray(batch.map(({ name }) => name)),
    ]);
    const found = new Map(rows.map((row) => [Number(row[0]), row]));
    batch.forEach((relation, index) => {
      const [, oid, quotedName, kind, columns] = found.get(index + 1) ?? [];
      if (typeof oid !== 'string' || typeof quotedName !== 'string') throw incompatible(relation, 'does not exist in the target');
      if (kind !== 'r' && kind !== 'p') throw incompatible(relation, 'is no table in the target');
      const known = new Set(JSON.parse(columns ?? '[]') as readonly string[]);
      const missing = relation.columns.find((column) => !known.has(column));
      if (missing !== undefined) throw incompatible(relation, `has no column ${JSON.stringify(missing)} in the target that can be loaded`);
      tables.push({ relation, oid, quotedName });
    });
  }
  if (!isAppending) await refuseRows(session, tables);
  return tables;
};

const tablesQuery = `SELECT u.number, c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind,
  (SELECT pg_catalog.json_agg(t.attname) FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped AND t.attgenerated = '')
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) WITH ORDINALITY u(schema, name, number)
  JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.name`;

const incompatible = (relation: ManifestRelation, problem: string): DbbackupError =>
  new DbbackupError('target_incompatible', `${displayName(relation)} ${problem}`, { details: { object: displayName(relation) } });

const refuseRows = async (session: Session, tables: readonly ExistingTable[]): Promise<void> => {
  for (let begin = 0; begin < tables.length; begin += batchSize) {
    const batch = tables.slice(begin, begin + batchSize);
    const sql = batch.map(({ quotedName }, index) => `SELECT ${index} WHERE EXISTS (SELECT FROM ${quotedName})`).join(' UNION ALL ');
    const first = batch[Number((await session.query(sql)).rows[0]?.[0] ?? -1)];
    if (first === undefined) continue;
    const object = displayName(first.relation);
    throw new DbbackupError('target_not_empty', `${object} holds rows already`, {
      details: { object, hint: 'Empty it, or add to it with --append.' },
    });
  }
};

const toOids = (tables: readonly ExistingTable[]): string => `{${tables.map(({ oid }) => oid).join(',')}}`;

/** The tables, all they are partitions of and all their own partitions, to which rows may be passed on: constraints and triggers may stand anywhere there. */
const affected = `affected AS (
  SELECT u.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) u(oid)
  UNION SELECT a.relid FROM pg_catalog.unnest($1::pg_catalog.oid[]) u(oid), LATERAL pg_catalog.pg_partition_ancestors(u.oid) a
  UNION SELECT t.relid FROM pg_catalog.unnest($1::pg_catalog.oid[]) u(oid), LATERAL pg_catalog.pg_partition_tree(u.oid) t)`;

/** Whether this role may set session_replication_role: superusers, and from PostgreSQL 15 on whom it was granted to. */
export const canReplicate = async (session: Session): Promise<boolean> => {
  const isGrantable = session.info().serverVersion >= 150000;
  const sql = `SELECT rolsuper${isGrantable ? " OR pg_catalog.has_parameter_privilege(current_user, 'session_replication_role', 'SET')" : ''}
FROM pg_catalog.pg_roles WHERE rolname = current_user`;
  return (await session.query(sql)).rows[0]?.[0] === 't';
};

/**
 * Runs `load` with no trigger of the tables at work: under session_replication_role where that may be set (`isReplicating`), by disabling the others, which must be allowed by
 * `areTriggersDisabled`; `onDisabling` hears of each before, with the statement that puts it back. Each trigger is put back into the state it had, also when `load` fails or was cancelled: that is done by a session of `withOwnSession`. Errors: `triggers_in_the_way` naming them.
 */
export const withoutTriggers = async (
  session: Session,
  tables: readonly ExistingTable[],
  { isReplicating, areTriggersDisabled }: { readonly isReplicating: boolean; readonly areTriggersDisabled: boolean },
  load: () => Promise<void>,
  withOwnSession: (use: (session: Session) => Promise<void>) => Promise<void>,
  onDisabling: (enableSql: string) => Promise<void>,
): Promise<void> => {
  const { rows } = await session.query(triggersQuery(isReplicating), [toOids(tables)]);
  const triggers = rows.map(([title, disableSql, enableSql]) => ({
    title: title ?? '',
    disableSql: disableSql ?? '',
    enableSql: enableSql ?? '',
  }));
  const [first] = triggers;
  if (first === undefined) return load();
  if (!areTriggersDisabled) {
    const named = triggers.slice(0, mostNamed).map(({ title }) => title);
    const rest = triggers.length > mostNamed ? ` and ${triggers.length - mostNamed} more` : '';
    throw new DbbackupError('triggers_in_the_way', `rows cannot be loaded past ${named.join(', ')}${rest}`, {
      details: { object: first.title },
    });
  }
  const disabled: { readonly title: string; readonly enableSql: string }[] = [];
  const putBack = (): Promise<void> => enableAll(disabled, withOwnSession);
  try {
    for (const trigger of triggers) {
      // First: a statement that was cancelled may have been carried out.
      disabled.push(trigger);
      await onDisabling(trigger.enableSql);
      await session.query(trigger.disableSql);
    }
    await load();
  } catch (error) {
    throw await afterFailure(error, putBack);
  }
  await putBack();
};

/** Tries every one. Errors: `triggers_disabled` with the statements that are still to be run. */
const enableAll = async (
  triggers: readonly { readonly title: string; readonly enableSql: string }[],
  withOwnSession: (use: (session: Session) => Promise<void>) => Promise<void>,
): Promise<void> => {
  const waiting = new Map(triggers.map(({ enableSql, title }) => [enableSql, title]));
  const failures: unknown[] = [];
  try {
    await withOwnSession(async (own) => {
      for (const sql of [...waiting.keys()]) {
        await own.query(sql).then(
          () => waiting.delete(sql),
          (error: unknown) => failures.push(error),
        );
      }
    });
  } catch (error) {
    failures.push(error);
  }
  if (waiting.size === 0) return;
  throw new DbbackupError('triggers_disabled', `left disabled: ${[...waiting.values()].join(', ')}`, {
    cause: failures[0],
    details: {
      object: [...waiting.values()][0] ?? '',
      hint: `Put them back: ${[...waiting.keys()].map((sql) => `${sql};`).join(' ')}`,
      later: failures.map(toDbbackupError),
    },
  });
};

const mostNamed = 5;

/** Title, and the statements that disable a trigger and put it back: of each table of a partition tree alone, since the states need not be the same. Triggers of a foreign key are told as the constraint. Under the role `replica` only those fire that say so. */
const triggersQuery = (isReplicating: boolean): string => `WITH ${affected}
SELECT CASE WHEN k.oid IS NULL OR NOT t.tgisinternal THEN pg_catalog.format('trigger %I of %s', t.tgname, t.tgrelid::pg_catalog.regclass)
    ELSE pg_catalog.format('constraint %I of %s', k.conname, k.conrelid::pg_catalog.regclass) END,
  pg_catalog.format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', t.tgrelid::pg_catalog.regclass, t.tgname),
  pg_catalog.format('ALTER TABLE ONLY %s ENABLE %sTRIGGER %I', t.tgrelid::pg_catalog.regclass, CASE t.tgenabled WHEN 'A' THEN 'ALWAYS ' WHEN 'R' THEN 'REPLICA ' ELSE '' END, t.tgname)
FROM pg_catalog.pg_trigger t LEFT JOIN pg_catalog.pg_constraint k ON k.oid = t.tgconstraint
WHERE t.tgrelid IN (SELECT oid FROM affected) AND t.tgtype & 4 <> 0 AND t.tgenabled IN (${isReplicating ? "'A', 'R'" : "'O', 'A'"})
  AND (NOT t.tgisinternal OR k.contype = 'f' OR (t.tgparentid <> 0 AND k.oid IS NULL)) ORDER BY t.tgisinternal DESC, 1`;

/** Adds to the error of a load that failed which foreign keys of the tables no query has proved: rows that were loaded stand behind them. */
export const withUnprovedKeys = async (
  session: Session,
  tables: readonly ExistingTable[],
  failure: DbbackupError,
): Promise<DbbackupError> => {
  const { rows } = await session.query(foreignKeyChecksQuery(affected), [toOids(tables)]);
  if (rows.length === 0) return failure;
  const named = rows.slice(0, mostNamed).map(([title]) => title);
  const rest = rows.length > mostNamed ? ` and ${rows.length - mostNamed} more` : '';
  const { hint } = failure;
  const advice = `Rows that were loaded have not been checked against ${named.join(', ')}${rest}: take them out before the tables are used.`;
  return new DbbackupError(failure.code, failure.message, {
    cause: failure.cause,
    details: { ...failure.details, hint: hint === undefined ? advice : `${hint} ${advice}` },
  });
};

/** Errors: `target_incompatible` naming the first sequence whose value could not be set: to be asked before rows are loaded. */
export const checkSequences = async (session: Session, { sequences }: ManifestDatabase): Promise<void> => {
  for (let begin = 0; begin < sequences.length; begin += batchSize) {
    const batch = sequences.slice(begin, begin + batchSize);
    const { rows } = await session.query(sequencesQuery, [
      toTextArray(batch.map(({ schema }) => schema)),
      toTextArray(batch.map(({ name }) => name)),
    ]);
    const found = new Set(rows.map(([number]) => Number(number)));
    const missing = batch.find((_, index) => !found.has(index + 1));
    if (missing === undefined) continue;
    const object = displayName(missing);
    throw new DbbackupError('target_incompatible', `sequence ${object} does not exist in the target`, { details: { object } });
  }
};

const sequencesQuery = `SELECT u.number
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) WITH ORDINALITY u(schema, name, number)
  JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.name AND c.relkind = 'S'`;

/**
 * Proves every foreign key from or to the tables by a query, since nothing did while they were loaded. Resolves with their number. Errors: `constraint_violated` naming each constraint
 * that has rows without a referent. Cost: one join of the two tables for each.
 */
export const checkForeignKeys = async (session: Session, tables: readonly ExistingTable[]): Promise<number> => {
  const { rows } = await session.query(foreignKeyChecksQuery(affected), [toOids(tables)]);
  const violated: string[] = [];
  for (const [title, sql] of rows) if ((await session.query(sql ?? '')).rows[0]?.[0] === 't') violated.push(title ?? '');
  const [first] = violated;
  if (first !== undefined) {
    throw new DbbackupError('constraint_violated', `rows that were loaded have no referent: ${violated.join(', ')}`, {
      details: { object: first },
    });
  }
  return rows.length;
};
