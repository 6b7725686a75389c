/**
 * For each foreign key from or to the tables of `affected`, a common table expression of that name with a column `oid`: its title, and a query, quoted by the server, that tells
 * whether rows have no referent. As `RI_Initial_Check` (src/backend/utils/adt/ri_triggers.c) asks; of a temporal one (PERIOD, PostgreSQL 18) all periods of the equal referents together must
 * cover the row's, as `RI_FKey_check` asks for a row. A constraint that was never validated promises nothing.
 */
export const foreignKeyChecksQuery = (affected: string): string => `WITH ${affected}, keys AS (
  SELECT k.oid, k.conname, k.conrelid, k.confrelid, k.confmatchtype, pg_catalog.array_agg(pg_catalog.quote_ident(f.attname) ORDER BY u.number) AS own,
    pg_catalog.array_agg(pg_catalog.format('p.%I OPERATOR(%I.%s) c.%I', r.attname, n.nspname, o.oprname, f.attname) ORDER BY u.number) AS matches,
    pg_catalog.array_agg(pg_catalog.quote_ident(r.attname) ORDER BY u.number) AS referents
  FROM pg_catalog.pg_constraint k CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop)) WITH ORDINALITY u(own, other, operator, number)
    JOIN pg_catalog.pg_attribute f ON f.attrelid = k.conrelid AND f.attnum = u.own JOIN pg_catalog.pg_attribute r ON r.attrelid = k.confrelid AND r.attnum = u.other
    JOIN pg_catalog.pg_operator o ON o.oid = u.operator JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
  WHERE k.contype = 'f' AND k.conparentid = 0 AND k.convalidated AND (k.conrelid IN (SELECT oid FROM affected) OR k.confrelid IN (SELECT oid FROM affected))
  GROUP BY k.oid, k.conname, k.conrelid, k.confrelid, k.confmatchtype),
texts AS (SELECT keys.*, k.oid IS NOT NULL AS is_temporal, pg_catalog.format('%s%s', CASE WHEN a.relkind = 'p' THEN '' ELSE 'ONLY ' END, keys.conrelid::pg_catalog.regclass) AS child,
    pg_catalog.format('%s%s', CASE WHEN b.relkind = 'p' THEN '' ELSE 'ONLY ' END, keys.confrelid::pg_catalog.regclass) AS parent,
    pg_catalog.array_to_string(keys.matches, ' AND ') AS condition,
    (SELECT pg_catalog.string_agg(pg_catalog.format('c.%s IS NOT NULL', column_name), CASE WHEN keys.confmatchtype = 'f' THEN ' OR ' ELSE ' AND ' END)
     FROM pg_catalog.unnest(keys.own) column_name) AS is_bound
  FROM keys JOIN pg_catalog.pg_class a ON a.oid = keys.conrelid JOIN pg_catalog.pg_class b ON b.oid = keys.confrelid
    LEFT JOIN pg_catalog.pg_constraint k ON k.oid = keys.oid AND pg_catalog.to_jsonb(k) OPERATOR(pg_catalog.->>) 'conperiod' = 'true')
SELECT pg_catalog.format('constraint %I of %s', texts.conname, texts.conrelid::pg_catalog.regclass), CASE WHEN texts.is_temporal
  THEN pg_catalog.format('SELECT EXISTS (SELECT FROM %s c WHERE (%s) AND NOT coalesce((SELECT c.%s OPERATOR(pg_catalog.<@) pg_catalog.range_agg(p.%s) FROM %s p WHERE %s), false))',
    texts.child, texts.is_bound, texts.own[pg_catalog.cardinality(texts.own)], texts.referents[pg_catalog.cardinality(texts.own)], texts.parent, texts.condition)
  ELSE pg_catalog.format('SELECT EXISTS (SELECT FROM %s c LEFT JOIN %s p ON %s WHERE p.%s IS NULL AND (%s))', texts.child, texts.parent, texts.condition, texts.referents[1], texts.is_bound) END
FROM texts ORDER BY 1`;
