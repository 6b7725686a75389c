-- Foreign data: definitions only, whatever the other side holds or however it fails.
CREATE SCHEMA elsewhere;
SET search_path = elsewhere;

CREATE EXTENSION postgres_fdw SCHEMA elsewhere;
CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere', dbname 'nothing', fetch_size '7');
CREATE SERVER typed TYPE 'a type' VERSION '1' FOREIGN DATA WRAPPER postgres_fdw;
CREATE USER MAPPING FOR oracle_reader SERVER other OPTIONS (user 'someone', password 'not ''a'' secret');
CREATE USER MAPPING FOR PUBLIC SERVER other;
CREATE FOREIGN TABLE away (id int OPTIONS (column_name 'ID') NOT NULL, note text DEFAULT 'x') SERVER other OPTIONS (schema_name 's', table_name 't');
GRANT SELECT ON away TO oracle_reader;
GRANT USAGE ON FOREIGN SERVER other TO oracle_reader;
CREATE TABLE half_away (id int, note text) PARTITION BY RANGE (id);
CREATE TABLE half_here PARTITION OF half_away FOR VALUES FROM (0) TO (100);
CREATE FOREIGN TABLE half_there PARTITION OF half_away FOR VALUES FROM (100) TO (200) SERVER other;
INSERT INTO half_here SELECT n, 'here' FROM generate_series(0, 99) n;
CREATE TABLE inherited_here (id int);
CREATE FOREIGN TABLE inherits_away () INHERITS (inherited_here) SERVER other;
INSERT INTO inherited_here VALUES (1);
CREATE FOREIGN DATA WRAPPER no_handler OPTIONS (debug 'true');
COMMENT ON FOREIGN TABLE away IS 'a foreign table';
COMMENT ON SERVER other IS 'a server';
