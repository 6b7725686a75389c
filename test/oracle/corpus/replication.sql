-- Publications, subscriptions, replica identity.
CREATE SCHEMA replication;
SET search_path = replication;

CREATE TABLE by_key (id int PRIMARY KEY, note text);
CREATE TABLE full_rows (id int, note text);
CREATE TABLE by_index (id int NOT NULL, note text);
CREATE UNIQUE INDEX by_index_unique ON by_index (id);
CREATE TABLE by_nothing (id int PRIMARY KEY);
ALTER TABLE full_rows REPLICA IDENTITY FULL;
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_unique;
ALTER TABLE by_nothing REPLICA IDENTITY NOTHING;
INSERT INTO by_key SELECT n, 'n' FROM generate_series(1, 10) n;
CREATE PUBLICATION some_tables FOR TABLE by_key, full_rows WITH (publish = 'insert, truncate');
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root = true);
ALTER PUBLICATION some_tables OWNER TO postgres;
COMMENT ON PUBLICATION some_tables IS 'a publication';
CREATE PUBLICATION none_yet;
\if :from_15
CREATE PUBLICATION filtered FOR TABLE by_index WHERE (id > 5), TABLES IN SCHEMA access;
CREATE PUBLICATION columns FOR TABLE full_rows (id, note);
\endif
-- Its connection would fail at once were it enabled.
CREATE SUBSCRIPTION follows CONNECTION 'host=/nowhere dbname=nothing' PUBLICATION some_tables, other WITH (connect = false, slot_name = NONE);
COMMENT ON SUBSCRIPTION follows IS 'a subscription';
