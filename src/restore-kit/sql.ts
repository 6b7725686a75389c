/** SQL text of the restore kit. All of it is ASCII, so that it means the same under every client encoding, and no psql, shell or editor finds anything to interpret. */
import type { ManifestDatabase, ManifestRelation } from '../manifest/schema.js';
import { analyzeStatementsQuery } from './analyze-sql.js';

/** A schema-qualified object. Its names are hostile until they are quoted. */
interface Named {
  readonly schema: string;
  readonly name: string;
}

/** In a database of this encoding PostgreSQL cannot convert `\00E9`, and there is no conversion on the way either: the bytes stand as they are. */
const rawEncoding = 'SQL_ASCII';

/** Quotes names for the sessions `session.sql` sets up: `"orders"`, `U&"caf\00E9"`. Source: PostgreSQL manual, 4.1.1 and 4.1.2.3. */
export class Quoting {
  readonly #plain: RegExp;
  readonly #escaped: RegExp;

  constructor(encoding: string) {
    const last = encoding === rawEncoding ? '\u0080-\u{10ffff}' : '';
    this.#plain = new RegExp(`^[A-Za-z0-9_ ${last}]*$`, 'u');
    this.#escaped = new RegExp(`[^A-Za-z0-9_ ${last}]`, 'gu');
  }

  identifier(name: string): string {
    return this.#plain.test(name) ? `"${name}"` : `U&"${this.#escape(name)}"`;
  }

  literal(text: string): string {
    return this.#plain.test(text) ? `'${text}'` : `U&'${this.#escape(text)}'`;
  }

  qualified({ schema, name }: Named): string {
    return `${this.identifier(schema)}.${this.identifier(name)}`;
  }

  #escape(text: string): string {
    return text.replace(this.#escaped, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return code > 0xffff ? `\\+${toHex(code, 6)}` : `\\${toHex(code, 4)}`;
    });
  }
}

const toHex = (code: number, length: number): string => code.toString(16).toUpperCase().padStart(length, '0');

/** `COPY target (columns of relation) FROM STDIN …`; the target is the relation itself, or the partitioned table it belongs to. */
export const toCopyFrom = (quoting: Quoting, relation: ManifestRelation, target: Named = relation): string => {
  // COPY takes no empty list; a table without columns has rows all the same.
  const columns = relation.columns.length === 0 ? '' : ` (${relation.columns.map((column) => quoting.identifier(column)).join(', ')})`;
  return `COPY ${quoting.qualified(target)}${columns} FROM STDIN (FORMAT ${relation.format});\n`;
};

/** What each psql session starts with: the settings the rows were read under, and none of the target's time limits. */
export const toSessionSql = (encoding: string): string =>
  [
    `SET client_encoding TO '${encoding}';`,
    'SET standard_conforming_strings TO on;',
    'SET DateStyle TO ISO;',
    'SET IntervalStyle TO postgres;',
    "SET TimeZone TO 'UTC';",
    'SET xmloption TO content;',
    // The database may be set to begin its transactions as read-only.
    'SET default_transaction_read_only TO off;',
    "SET lc_monetary TO 'C';",
    'SET array_nulls TO on;',
    'SET row_security TO off;',
    'SET client_min_messages TO warning;',
    // Which of them exist depends on the target's version.
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings",
    "WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout') \\g /dev/null",
    "SELECT pg_catalog.set_config('search_path', '', false) \\g /dev/null",
    '',
  ].join('\n');

/** Values of sequences, one statement each, without a semicolon. `isAppending`: the target's own rows took values, too, so that no sequence is set back. */
export const toSequenceStatements = (quoting: Quoting, { sequences }: ManifestDatabase, isAppending = false): readonly string[] =>
  sequences.map((sequence) => {
    const { schema, name, lastValue, isCalled } = sequence;
    const setSql = `SELECT pg_catalog.setval(pg_catalog.format('%I.%I', ${quoting.literal(schema)}, ${quoting.literal(name)})::pg_catalog.regclass, ${lastValue}, ${isCalled})`;
    const called = isCalled ? 'NOT q.is_called' : 'false';
    return isAppending
      ? `${setSql} FROM ${quoting.qualified(sequence)} q, pg_catalog.pg_sequence s WHERE s.seqrelid = q.tableoid AND (q.last_value = ${lastValue} AND ${called}
  OR CASE WHEN s.seqincrement > 0 THEN q.last_value < ${lastValue} ELSE q.last_value > ${lastValue} END)`
      : setSql;
  });

/** Views' queries may call functions that rely on the database's own search path. */
export const ownSearchPathSql = 'RESET search_path';

export const toRefreshStatement = (quoting: Quoting, view: Named): string => `REFRESH MATERIALIZED VIEW ${quoting.qualified(view)}`;

/** A query for the OIDs, in the source, of those schemas that the target has. */
export const toSchemasSql = (quoting: Quoting, { schemas }: ManifestDatabase): string => {
  const rows = schemas.map(({ oid, name }) => `(${oid}, ${quoting.literal(name)})`).join(',\n  ');
  return `SELECT s.oid FROM (VALUES ${rows}) s(oid, name) JOIN pg_catalog.pg_namespace n ON n.nspname = s.name;\n`;
};

/**
 * What comes last, as a script: sequences, materialised views in the order in which they can be refreshed, then the planner's statistics. In a backup of a part a view may not be there, because it
 * reads what is outside; and where rows were left out its query may fail, which is told and ends nothing.
 */
export const toFinishSql = (quoting: Quoting, database: ManifestDatabase): string => {
  const refresh = (view: Named): string =>
    database.outwardReferences.length === 0
      ? `${toRefreshStatement(quoting, view)};\n`
      : `SELECT pg_catalog.format('REFRESH MATERIALIZED VIEW %I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND n.nspname = ${quoting.literal(view.schema)} AND c.relname = ${quoting.literal(view.name)} \\gexec\n`;
  const isRowMissing = database.relations.some(({ kind, segments }) => kind !== 'p' && segments.length === 0);
  return [
    ...toSequenceStatements(quoting, database).map((sql) => `${sql};\n`),
    `${ownSearchPathSql};\n`,
    ...(isRowMissing ? ['\\set ON_ERROR_STOP off\n'] : []),
    ...database.materializedViews.map(refresh),
    ...(isRowMissing ? ['\\set ON_ERROR_STOP on\n'] : []),
    // A role that owns only some of the tables would be warned of each other one.
    `SET client_min_messages TO error;\n${analyzeStatementsQuery} \\gexec\n`,
  ].join('');
};
