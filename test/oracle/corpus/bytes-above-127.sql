-- In databases whose encoding is not UTF8: bytes above 127, as single characters (LATIN1) or as bytes nobody checks (SQL_ASCII).
CREATE SCHEMA high;
SET search_path = high;

CREATE TABLE characters AS SELECT n, chr(n) AS c, repeat(chr(n), 10) || E'\\\n\t' AS more FROM generate_series(1, 255) n;
CREATE TABLE joined AS SELECT string_agg(chr(n), '' ORDER BY n) AS all_of_them FROM generate_series(1, 255) n;
CREATE TABLE arrays AS SELECT array_agg(chr(n) ORDER BY n) AS a FROM generate_series(1, 255) n;
-- Before 16 the text of this type is the byte itself, so it differs after an upgrade.
\if :from_16
CREATE TABLE single_bytes AS SELECT array_agg(chr(n)::"char" ORDER BY n) AS b FROM generate_series(1, 255) n;
\endif
SELECT current_setting('server_encoding') = 'LATIN1' AS is_latin1 \gset
\if :is_latin1
CREATE TABLE documents (j json, x xml);
INSERT INTO documents VALUES (('"' || chr(228) || '"')::json, ('<a>' || chr(228) || '</a>')::xml);
\endif
CREATE TABLE bytes AS SELECT n, decode(lpad(to_hex(n), 2, '0'), 'hex') AS b FROM generate_series(0, 255) n;
CREATE TABLE with_default (id int, note text);
DO $$ BEGIN EXECUTE format('ALTER TABLE high.with_default ALTER note SET DEFAULT %L', chr(233) || chr(255)); END $$;
DO $$ BEGIN EXECUTE format('COMMENT ON TABLE high.with_default IS %L', chr(233) || chr(255)); END $$;
INSERT INTO with_default VALUES (1);
SELECT lo_from_bytea(300001, '\xe4ff00');
