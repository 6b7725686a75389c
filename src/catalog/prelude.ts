import { DbbackupError } from '../core/errors.js';

/** pg_dump's settings (`setup_connection` in src/bin/pg_dump/pg_dump.c), and those it leaves to the server although rows' text depends on them. */
const settings: readonly (readonly [name: string, value: string])[] = [
  ['statement_timeout', '0'],
  ['lock_timeout', '0'],
  ['idle_in_transaction_session_timeout', '0'],
  ['transaction_timeout', '0'],
  ['idle_session_timeout', '0'],
  ['row_security', 'off'],
  ['synchronize_seqscans', 'off'],
  ['extra_float_digits', '3'],
  ['quote_all_identifiers', 'off'],
  ['standard_conforming_strings', 'on'],
  ['TimeZone', 'UTC'],
  ['DateStyle', 'ISO'],
  ['IntervalStyle', 'postgres'],
  ['bytea_output', 'hex'],
  ['xmloption', 'content'],
  // Text of money is written and read by it; without the other, the text NULL in an array becomes a string.
  ['lc_monetary', 'C'],
  ['array_nulls', 'on'],
  // A ctid range must be read as a range, by one process: a plan that reads the whole table for each range multiplies the work.
  ['enable_tidscan', 'on'],
  ['max_parallel_workers_per_gather', '0'],
  ['jit', 'off'],
];

/** Where it exists, views and foreign tables that a query might reach through a changed name run no code of theirs (CVE-2024-7348). Functions of CHECK constraints may need theirs. */
const readingSettings: typeof settings = [['restrict_nonsystem_relation_kind', 'view, foreign-table']];

/**
 * Statements that fix what a session's results depend on, for reading and for writing rows: run once after connecting, outside a transaction. Settings that
 * the server does not know (13 to 18 differ, and so do minor releases) are left out by the statement itself.
 * `purpose`: a session that writes runs the functions of constraints and defaults, which may read views.
 * `encoding` becomes `client_encoding`: `UTF8` for a session that reads names, the database's own for one that copies rows, so that none is converted.
 * Errors: `internal` for a name that is no encoding's.
 */
export const prelude = (encoding: string, purpose: 'read' | 'write' = 'read'): readonly string[] => {
  if (!/^[A-Za-z0-9_]+$/.test(encoding)) throw new DbbackupError('internal', `"${encoding}" is not the name of an encoding`);
  const values = [...settings, ...(purpose === 'read' ? readingSettings : [])].map(([name, value]) => `('${name}', '${value}')`).join(', ');
  return [
    // First and alone: until then an operator of the next statement might be one that somebody put in the way.
    "SELECT pg_catalog.set_config('search_path', '', false)",
    `SELECT pg_catalog.set_config(v.name, v.value, false) FROM (VALUES ${values}) v(name, value) JOIN pg_catalog.pg_settings s ON s.name = v.name WHERE s.context = 'user'`,
    `SET client_encoding TO '${encoding}'`,
  ];
};
