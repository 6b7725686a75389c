-- Partitioned tables of every strategy, partitions of partitions, partitions with columns in another order, foreign and default partitions.
CREATE SCHEMA partitions;
SET search_path = partitions;

CREATE TABLE by_range (id int NOT NULL, at date NOT NULL, body text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE by_range_2024 PARTITION OF by_range FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE by_range_2025 PARTITION OF by_range FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (id);
CREATE TABLE by_range_2025_even PARTITION OF by_range_2025 FOR VALUES IN (0, 2, 4, 6, 8);
CREATE TABLE by_range_2025_rest PARTITION OF by_range_2025 DEFAULT;
CREATE TABLE by_range_default PARTITION OF by_range DEFAULT;
INSERT INTO by_range SELECT n % 10, date '2024-01-01' + n, 'row ' || n FROM generate_series(0, 999) n;
CREATE INDEX by_range_body ON by_range (body);
CREATE INDEX by_range_only ON ONLY by_range (at, body);

CREATE TABLE by_hash (id bigint, body text) PARTITION BY HASH (id, body);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE by_hash_2 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO by_hash SELECT n, 'row ' || n FROM generate_series(1, 300) n;

CREATE TABLE by_expression (id int, name text COLLATE "C") PARTITION BY RANGE (lower(name), id);
CREATE TABLE by_expression_a PARTITION OF by_expression FOR VALUES FROM ('a', MINVALUE) TO ('n', MINVALUE);
CREATE TABLE by_expression_n PARTITION OF by_expression FOR VALUES FROM ('n', MINVALUE) TO (MAXVALUE, MAXVALUE);
INSERT INTO by_expression SELECT n, chr(97 + n % 26) FROM generate_series(1, 100) n;

-- A partition whose columns stand in another order, with one dropped.
CREATE TABLE attached (body text, gone int, at date NOT NULL, id int NOT NULL);
ALTER TABLE attached DROP gone;
INSERT INTO attached SELECT 'attached ' || n, date '2030-01-01', n FROM generate_series(1, 10) n;
ALTER TABLE by_range ATTACH PARTITION attached FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');

CREATE TABLE with_null (id int) PARTITION BY LIST (id);
CREATE TABLE with_null_null PARTITION OF with_null FOR VALUES IN (NULL);
CREATE TABLE with_null_one PARTITION OF with_null FOR VALUES IN (1);
INSERT INTO with_null VALUES (NULL), (1), (NULL);
CREATE TABLE without_partitions (id int) PARTITION BY LIST (id);

CREATE TABLE detached (id int NOT NULL, at date NOT NULL, body text);
INSERT INTO detached VALUES (1, '2050-01-01', 'detached');
CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trigger ran during the restore''; END';
CREATE TRIGGER no_row BEFORE INSERT ON by_range FOR EACH ROW EXECUTE FUNCTION note_row();

-- Where a row belongs depends on OIDs of an enum, or on the collation library: at the target it may be another partition, so that the rows are compared as a view's.
CREATE TYPE mood AS ENUM ('m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7');
CREATE TABLE rehashed (id int, m mood, note text) PARTITION BY HASH (m);
CREATE TABLE rehashed_0 PARTITION OF rehashed FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE rehashed_1 (note text, gone int, m mood, id int);
ALTER TABLE rehashed_1 DROP gone;
ALTER TABLE rehashed ATTACH PARTITION rehashed_1 FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE rehashed_2 PARTITION OF rehashed FOR VALUES WITH (MODULUS 3, REMAINDER 2) PARTITION BY HASH (m, id);
CREATE TABLE rehashed_2_0 PARTITION OF rehashed_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE rehashed_2_1 PARTITION OF rehashed_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO rehashed SELECT n, ('m' || n % 8)::mood, 'row ' || n FROM generate_series(1, 2000) n;
CREATE MATERIALIZED VIEW rehashed_rows AS SELECT * FROM rehashed;
CREATE COLLATION nocase (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE TABLE rehashed_text (id int, note text COLLATE nocase) PARTITION BY HASH (note);
CREATE TABLE rehashed_text_0 PARTITION OF rehashed_text FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE rehashed_text_1 PARTITION OF rehashed_text FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO rehashed_text SELECT n, chr(65 + n % 26 + 32 * (n % 2)) FROM generate_series(1, 500) n;
CREATE MATERIALIZED VIEW rehashed_text_rows AS SELECT * FROM rehashed_text;
