import { displayName } from '../catalog/names.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import type { Session } from '../native/session.js';

interface Named {
  readonly schema: string;
  readonly name: string;
}

/**
 * Refreshes materialised views, in this order. One whose query fails and that reads a relation without its rows, directly or through other views, stays empty and gives a warning: the rows were
 * left out by choice. `rowless`: those relations. Errors: the server's for any other.
 */
export const refreshViews = async <View extends Named>(
  session: Session,
  views: readonly View[],
  rowless: readonly Named[],
  toSql: (view: View) => string,
): Promise<readonly string[]> => {
  const empty = new Set(rowless.map(keyOf));
  const warnings: string[] = [];
  for (const view of views) {
    try {
      await session.query(toSql(view));
    } catch (error) {
      const failure = toDbbackupError(error);
      // Without SQLSTATE it is not the query that failed.
      const read = empty.size === 0 || failure.details.sqlstate === undefined ? null : await findRead(session, view, empty);
      if (read === null)
        throw new DbbackupError(failure.code, `materialized view ${displayName(view)} could not be refreshed: ${failure.message}`, {
          cause: error,
          details: {
            ...failure.details,
            object: displayName(view),
            hint:
              failure.hint ??
              'All rows and definitions are there: make what its query lacks, REFRESH it, and those after it, then run ANALYZE.',
          },
        });
      empty.add(keyOf(view));
      warnings.push(
        `materialized view ${displayName(view)} stays empty: it reads ${displayName(read)}, which was restored without rows, and its query fails: ${failure.message}`,
      );
    }
  }
  return warnings;
};

const keyOf = ({ schema, name }: Named): string => JSON.stringify([schema, name]);

/** The first relation among `empty` that a view reads. */
const findRead = async (session: Session, view: Named, empty: ReadonlySet<string>): Promise<Named | null> => {
  const { rows } = await session.query(readsQuery, [view.schema, view.name]);
  const read = rows.map(([schema, name]): Named => ({ schema: schema ?? '', name: name ?? '' })).find((named) => empty.has(keyOf(named)));
  return read ?? null;
};

/** What a view reads, through any number of views, with all partitions and children. */
const readsQuery = `WITH RECURSIVE reads(oid) AS (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2
  UNION SELECT x.oid FROM reads, LATERAL (
    SELECT d.refobjid FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
      WHERE w.ev_class = reads.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = reads.oid) x(oid))
SELECT n.nspname, c.relname FROM reads JOIN pg_catalog.pg_class c ON c.oid = reads.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`;
