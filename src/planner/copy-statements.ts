import type { Relation } from '../catalog/model.js';
import { toClientEncoding, toLiteral } from '../catalog/names.js';
import { DbbackupError } from '../core/errors.js';
import type { RowFormat } from '../core/results.js';
import type { RelationChunk } from './plan.js';

/** SQL that reads one chunk, for a worker session whose `client_encoding` is the database's. */
export interface CopyOutStatements {
  readonly lockSql: string;
  readonly checkSql: string;
  readonly checkExpected: string;
  readonly copySql: string;
}

/**
 * Statements for one chunk of a relation. `encoding` is the database's. The lock takes NOWAIT, since the leader holds the same one and only a waiting DDL statement
 * could be in the way; the check resolves the name and proves that the file behind it is the one the snapshot sees.
 */
export const toCopyOut = (
  relation: Relation,
  format: RowFormat,
  chunk: Pick<RelationChunk, 'beginBlock' | 'endBlock'>,
  encoding: string,
): CopyOutStatements => {
  const table = toClientEncoding(relation.quotedName, encoding);
  const columns = toClientEncoding(relation.columns.map(({ quotedName }) => quotedName).join(', '), encoding);
  return {
    lockSql: `LOCK TABLE ONLY ${table} IN ACCESS SHARE MODE NOWAIT`,
    checkSql: `SELECT pg_catalog.pg_relation_filenode(pg_catalog.to_regclass(${toLiteral(relation.quotedName, encoding)}))`,
    checkExpected: String(relation.fileNode),
    copySql: `COPY ${toSource(table, columns, rangeOf(chunk), relation.condition ?? '')} TO STDOUT (FORMAT ${format})`,
  };
};

/** COPY of a table reads that table alone, no children, and saves the executor; a query is needed where rows are chosen. */
const toSource = (table: string, columns: string, range: string, condition: string): string => {
  if (range === '' && condition === '') return withColumns(table, columns);
  // A condition may end in ORDER BY or LIMIT: nothing can be added to it. The planner reads such a relation whole.
  if (range !== '' && condition !== '') throw new DbbackupError('internal', `${table} has a condition and cannot be read by ranges`);
  return `(SELECT ${columns} FROM ONLY ${table} ${range === '' ? condition : range})`;
};

/** An empty list is a syntax error; without one COPY takes all columns that are not generated, which is none. */
const withColumns = (table: string, columns: string): string => (columns === '' ? table : `${table} (${columns})`);

const rangeOf = ({ beginBlock, endBlock }: Pick<RelationChunk, 'beginBlock' | 'endBlock'>): string => {
  const bounds = [
    beginBlock === null ? '' : `ctid >= '(${beginBlock},0)'::pg_catalog.tid`,
    endBlock === null ? '' : `ctid < '(${endBlock},0)'::pg_catalog.tid`,
  ];
  const given = bounds.filter((bound) => bound !== '');
  return given.length === 0 ? '' : `WHERE ${given.join(' AND ')}`;
};
