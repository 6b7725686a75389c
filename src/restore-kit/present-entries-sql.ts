/**
 * What of an archive's last section a target has, each as the archive's list tells it: type, schema and tag, without the owner. Source: pg_dump.c, the tags that
 * dumpIndex, dumpConstraint, dumpTrigger, dumpRule, dumpPolicy, dumpStatisticsExt, dumpEventTrigger, dumpPublication, dumpPublicationTable and dumpSubscription give.
 */
export const presentEntriesQuery = `WITH own AS (
  SELECT c.oid, c.relname, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
SELECT 'INDEX ' || o.nspname || ' ' || o.relname FROM pg_catalog.pg_index i JOIN own o ON o.oid = i.indexrelid
UNION ALL SELECT CASE k.contype WHEN 'f' THEN 'FK CONSTRAINT ' WHEN 'c' THEN 'CHECK CONSTRAINT ' ELSE 'CONSTRAINT ' END || o.nspname || ' ' || o.relname || ' ' || k.conname
FROM pg_catalog.pg_constraint k JOIN own o ON o.oid = k.conrelid
UNION ALL SELECT 'TRIGGER ' || o.nspname || ' ' || o.relname || ' ' || t.tgname FROM pg_catalog.pg_trigger t JOIN own o ON o.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL SELECT 'RULE ' || o.nspname || ' ' || o.relname || ' ' || r.rulename FROM pg_catalog.pg_rewrite r JOIN own o ON o.oid = r.ev_class
UNION ALL SELECT 'POLICY ' || o.nspname || ' ' || o.relname || ' ' || p.polname FROM pg_catalog.pg_policy p JOIN own o ON o.oid = p.polrelid
UNION ALL SELECT 'STATISTICS ' || n.nspname || ' ' || s.stxname FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
UNION ALL SELECT 'EVENT TRIGGER - ' || evtname FROM pg_catalog.pg_event_trigger
UNION ALL SELECT 'PUBLICATION - ' || pubname FROM pg_catalog.pg_publication
UNION ALL SELECT 'PUBLICATION TABLE ' || o.nspname || ' ' || p.pubname || ' ' || o.relname FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid JOIN own o ON o.oid = r.prrelid
UNION ALL SELECT 'SUBSCRIPTION - ' || s.subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = pg_catalog.current_database()`;
