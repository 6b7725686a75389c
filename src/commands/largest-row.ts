import type { Catalog, Relation } from '../catalog/model.js';
import { DbbackupError } from '../core/errors.js';
import type { Session } from '../native/session.js';
import { type BackupPlan, isRelationChunk, type RelationChunk, type RelationPlan } from '../planner/plan.js';

/**
 * An error about a row that COPY cannot send, with the row's place: the largest of its chunk. Other errors are returned as they are.
 * `session` holds the snapshot; sizes of TOASTed values are read from their pointers, so this costs a pass over the heap alone.
 */
export const nameLargestRow = async (
  session: Pick<Session, 'query'>,
  catalog: Catalog,
  plan: BackupPlan,
  error: DbbackupError,
): Promise<DbbackupError> => {
  if (error.code !== 'row_too_large') return error;
  const chunk = plan.tasks.flatMap(({ chunks }) => chunks.filter(isRelationChunk)).find(({ name }) => name === error.details.object);
  const planned = plan.relations[chunk?.relation ?? -1];
  const relation = catalog.relations.find(({ oid }) => oid === planned?.oid);
  if (chunk === undefined || planned === undefined || relation === undefined || relation.columns.length === 0) return error;
  const row = (await session.query(largestRowSql(relation, planned, chunk))).rows[0];
  if (row === undefined) return error;
  const message = `the row of ${planned.schema}.${planned.name} at ctid ${row[0]} is larger than COPY can send: about ${row[1]} bytes as ${planned.format}`;
  return new DbbackupError(error.code, message, {
    cause: error,
    details: { ...error.details, detail: `the server says: ${error.message}` },
  });
};

/** An expression for the bytes of a row as COPY sends it, about; sizes of TOASTed values come from their pointers. */
export const rowSizeSql = (relation: Pick<Relation, 'columns'>, format: RelationPlan['format']): string => {
  const sizes = relation.columns.map(({ quotedName, type }) => {
    // Text is hex: two digits a byte.
    if (type.qualifiedName === 'pg_catalog.bytea')
      return `coalesce(pg_catalog.octet_length(${quotedName})::bigint * ${format === 'text' ? 2 : 1}, 0)`;
    if (['pg_catalog.text', 'pg_catalog.varchar', 'pg_catalog.bpchar'].includes(type.qualifiedName))
      return `coalesce(pg_catalog.octet_length(${quotedName})::bigint, 0)`;
    return `coalesce(pg_catalog.pg_column_size(${quotedName})::bigint, 0)`;
  });
  return sizes.join(' + ');
};

const largestRowSql = (relation: Relation, { format }: RelationPlan, { beginBlock, endBlock }: RelationChunk): string => {
  const bounds = [
    beginBlock === null ? '' : `ctid >= '(${beginBlock},0)'::pg_catalog.tid`,
    endBlock === null ? '' : `ctid < '(${endBlock},0)'::pg_catalog.tid`,
  ].filter((bound) => bound !== '');
  const where = bounds.length === 0 ? '' : `WHERE ${bounds.join(' AND ')}`;
  return `SELECT ctid, ${rowSizeSql(relation, format)} AS bytes FROM ONLY ${relation.quotedName} ${where} ORDER BY bytes DESC LIMIT 1`;
};
