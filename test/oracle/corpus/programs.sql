-- What runs: functions, aggregates, operators and their classes, casts, triggers, event triggers, text search, statistics, collations, conversions.
CREATE SCHEMA programs;
SET search_path = programs;

CREATE FUNCTION overloaded(a int, OUT b int, VARIADIC c text[] DEFAULT '{}') LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 7 AS $body$BEGIN b := a; END$body$;
CREATE FUNCTION overloaded(a text) RETURNS TABLE (x int, y text) LANGUAGE sql STABLE ROWS 5 AS $$SELECT 1, a || ' $body$ ; -- \'$$;
CREATE FUNCTION uses_setting() RETURNS text LANGUAGE sql SET work_mem = '8MB' SET search_path = programs, pg_temp AS 'SELECT current_setting(''work_mem'')';
CREATE PROCEDURE procedure_with(INOUT n int) LANGUAGE plpgsql AS 'BEGIN n := n + 1; END';
CREATE FUNCTION add_up(state numeric, value numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT coalesce(state, 0) + coalesce(value, 0)';
CREATE AGGREGATE sum_up(numeric) (SFUNC = add_up, STYPE = numeric, INITCOND = '0', COMBINEFUNC = add_up, PARALLEL = SAFE);
CREATE FUNCTION both_less(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < $2';
CREATE FUNCTION compare_backwards(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($2, $1)';
CREATE OPERATOR <<# (LEFTARG = int, RIGHTARG = int, FUNCTION = both_less, COMMUTATOR = OPERATOR(programs.#>>), RESTRICT = scalarltsel);
CREATE FUNCTION both_greater(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > $2';
CREATE OPERATOR #>> (LEFTARG = int, RIGHTARG = int, FUNCTION = both_greater, COMMUTATOR = <<#);
CREATE OPERATOR FAMILY backwards USING btree;
CREATE OPERATOR CLASS backwards_int FOR TYPE int USING btree FAMILY backwards AS
  OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 compare_backwards(int, int);
CREATE TABLE indexed_backwards (id int);
INSERT INTO indexed_backwards SELECT generate_series(1, 200);
CREATE INDEX ON indexed_backwards (id backwards_int);
CREATE TYPE celsius AS (degrees float8);
CREATE FUNCTION to_celsius(float8) RETURNS celsius LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1)::programs.celsius';
CREATE CAST (float8 AS celsius) WITH FUNCTION to_celsius(float8) AS ASSIGNMENT;
CREATE CAST (celsius AS text) WITH INOUT;

CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trigger ran during the restore''; END';
CREATE TABLE triggered (id int PRIMARY KEY, note text);
INSERT INTO triggered SELECT n, 'n' FROM generate_series(1, 50) n;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE OF note ON triggered FOR EACH ROW WHEN (NEW.id > 0) EXECUTE FUNCTION on_change('an argument', '2');
CREATE TRIGGER after_statement AFTER INSERT ON triggered REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION on_change();
CREATE CONSTRAINT TRIGGER late_check AFTER INSERT ON triggered DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION on_change();
ALTER TABLE triggered ENABLE ALWAYS TRIGGER before_row, ENABLE REPLICA TRIGGER after_statement, DISABLE TRIGGER late_check;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE EVENT TRIGGER watch_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION on_ddl();
CREATE EVENT TRIGGER watch_drops ON sql_drop EXECUTE FUNCTION on_ddl();
ALTER EVENT TRIGGER watch_drops DISABLE;
COMMENT ON EVENT TRIGGER watch_ddl IS 'an event trigger';

CREATE TEXT SEARCH DICTIONARY plain_words (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION plain_text (COPY = english);
ALTER TEXT SEARCH CONFIGURATION plain_text ALTER MAPPING FOR asciiword WITH plain_words, english_stem;
CREATE TABLE searched (id int, body text, words tsvector GENERATED ALWAYS AS (to_tsvector('programs.plain_text', body)) STORED);
INSERT INTO searched (id, body) SELECT n, 'searching the words of row ' || n FROM generate_series(1, 100) n;
CREATE INDEX ON searched USING gin (words);

CREATE STATISTICS dependent (dependencies, ndistinct) ON id, note FROM triggered;
ALTER STATISTICS dependent SET STATISTICS 333;
COMMENT ON STATISTICS dependent IS 'statistics';
\if :from_14
CREATE STATISTICS of_expression ON (id % 10), (lower(note)) FROM triggered;
CREATE FUNCTION sql_body(a int) RETURNS int LANGUAGE sql RETURN a + (SELECT count(*) FROM programs.triggered)::int;
\endif
CREATE COLLATION copied FROM "C";
CREATE COLLATION german (provider = icu, locale = 'de-u-co-phonebk');
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE collated (id int, g text COLLATE german, l text COLLATE loose UNIQUE, c text COLLATE copied);
INSERT INTO collated VALUES (1, 'Ärger', 'a', 'x'), (2, 'Argus', 'b', 'y');
CREATE INDEX ON collated (g, c COLLATE "POSIX");
CREATE DEFAULT CONVERSION to_latin FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
CREATE ACCESS METHOD another_btree TYPE INDEX HANDLER bthandler;
CREATE FUNCTION check_inner(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN length($1) > 0; END';
CREATE FUNCTION check_calls(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT programs.check_inner($1)';
CREATE TABLE checked (t text CHECK (programs.check_calls(t)));
INSERT INTO checked VALUES ('kept');
