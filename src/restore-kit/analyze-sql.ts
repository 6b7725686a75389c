/**
 * Gives an ANALYZE statement, quoted by the server, for each table, partitioned table and materialised view, those with most to read first. One above a foreign table is
 * left out: it would be sampled on the other server, which may be down, slow or somewhere else than where the source's was. What is below it is analysed for itself.
 */
export const analyzeStatementsQuery = `WITH RECURSIVE above_foreign(oid) AS (
  SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class f ON f.oid = i.inhrelid WHERE f.relkind = 'f'
  UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN above_foreign a ON a.oid = i.inhrelid
)
SELECT pg_catalog.format('ANALYZE %I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND c.oid NOT IN (SELECT a.oid FROM above_foreign a)
ORDER BY pg_catalog.pg_relation_size(c.oid) DESC, c.oid`;
