import type { Cluster } from '../support/cluster.js';

/** Names that break whatever pastes them into SQL, a shell word or a line. */
const evilTable = '"; $(touch x) \\ \'';
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A small database with every kind of thing the main job must bring back, and values at the edges of their types. */
const corpusSql = `
CREATE EXTENSION hstore;
CREATE SCHEMA "Ünïcode ""schéma""";
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE float_range AS RANGE (subtype = float8);

CREATE TABLE narrow (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account int NOT NULL, amount numeric(12, 2), noted timestamptz);
INSERT INTO narrow (account, amount, noted) SELECT n % 1000, n * 1.25, '2024-01-01Z'::timestamptz + n * interval '1 min' FROM generate_series(1, 60000) n;
CREATE INDEX ON narrow (account);

CREATE TABLE documents (id int PRIMARY KEY, body bytea, title text);
ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
INSERT INTO documents SELECT n, (SELECT string_agg(sha256((n * 10000 + i)::text::bytea), ''::bytea) FROM generate_series(1, 400) i), repeat('title ' || n, 50) FROM generate_series(1, 400) n;
INSERT INTO documents VALUES (0, ''::bytea, ''), (-1, NULL, NULL), (-2, decode(repeat('00ff', 1500000), 'hex'), E'tab\\t back\\\\slash\\nnew line \\\\. end');

CREATE TABLE edges (
  i2 smallint, i8 bigint, n numeric, f4 real, f8 double precision, t text, c char(5), v varchar(10), b bytea, ts timestamp, tz timestamptz, d date, ti time, iv interval,
  u uuid, j json, jb jsonb, ia int[], ta text[], bits bit varying, ip inet, r int4range, m mood, ms mood[], p pair, pos positive, class regclass, x xml, h hstore, fr float_range, o oid,
  twice int GENERATED ALWAYS AS (i2 * 2) STORED
);
INSERT INTO edges (i2) VALUES (NULL);
INSERT INTO edges VALUES (-32768, -9223372036854775808, 'NaN', 'NaN', 'Infinity', '', '', '', '', '-infinity', 'infinity', '4713-01-01 BC', '24:00', '-1 year 2 days -03:04:05.000006',
  '00000000-0000-0000-0000-000000000000', '{"a" :  1}', '{}', '{}', '{}', '', '::1/128', 'empty', 'sad', '{}', ROW(NULL, ''), 1, 'edges', '<a/>', '', 'empty', 0);
INSERT INTO edges VALUES (32767, 9223372036854775807, (repeat('9', 3000) || '.' || repeat('1', 3000))::numeric, 1e-37, 4.9e-324, E'\\\\N \\\\. \\r\\n\\t\\x01 ünïcode 🐘', 'ab', E'\\\\', E'\\\\x00ff5c0a', '0001-01-01 BC',
  '294276-12-31 23:59:59.999999Z', 'infinity', '23:59:59.999999', '178000000 years', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '[1,{"b":null}]', '{"deep":[[[[[[{"x":"\\\\u00fc"}]]]]]]}',
  '{{1,NULL},{3,4}}', ARRAY['', NULL, '"quoted"', 'a,b', '\\'], B'10101', '10.0.0.0/8', '[1,10)', 'it''s ok', '{happy,NULL}', ROW(1, 'a,"b"'), 2147483647, 'narrow', '<b>&amp;</b>', 'a=>NULL, "b c"=>"d"', '[1.5,)', 4294967295);

CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 3);
CREATE TABLE empty_table (id int PRIMARY KEY);
CREATE UNLOGGED TABLE forgetful AS SELECT 1 AS id;
CREATE TABLE dropped_column (a int, gone int, b text DEFAULT 'b');
ALTER TABLE dropped_column DROP COLUMN gone;
INSERT INTO dropped_column SELECT n FROM generate_series(1, 10) n;
CREATE TABLE "Ünïcode ""schéma"""."naïve 表" ("ключ" int PRIMARY KEY, "a""b" text);
INSERT INTO "Ünïcode ""schéma"""."naïve 表" VALUES (1, 'ü');
CREATE TABLE ${quoted(evilTable)} (id int, "$(touch y)" text);
INSERT INTO ${quoted(evilTable)} VALUES (1, '$(touch z)');
CREATE TABLE "two
lines" ("col
umn" int);
INSERT INTO "two
lines" VALUES (1);

CREATE TABLE parent (id int);
CREATE TABLE child (extra int) INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2, 3);
CREATE TABLE tree (id int, kind text) PARTITION BY RANGE (id);
CREATE TABLE tree_low PARTITION OF tree FOR VALUES FROM (0) TO (100) PARTITION BY LIST (kind);
CREATE TABLE tree_low_a PARTITION OF tree_low FOR VALUES IN ('a');
CREATE TABLE tree_high PARTITION OF tree FOR VALUES FROM (100) TO (200);
INSERT INTO tree SELECT n, 'a' FROM generate_series(0, 199) n;
CREATE TABLE orders (id int PRIMARY KEY, narrow_id bigint REFERENCES narrow, document_id int REFERENCES documents);
INSERT INTO orders SELECT n, n, n FROM generate_series(1, 300) n;

CREATE SEQUENCE used; SELECT setval('used', 9223372036854775807);
CREATE SEQUENCE untouched START 7;
CREATE SEQUENCE reset; SELECT setval('reset', 42, false);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trigger ran during the restore''; END';
CREATE TRIGGER no_touching BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION touch();
CREATE VIEW rich AS SELECT account, sum(amount) AS amount FROM narrow GROUP BY account;
CREATE MATERIALIZED VIEW z_base AS SELECT * FROM rich WHERE amount > 100;
CREATE MATERIALIZED VIEW a_on_z AS SELECT count(*) FROM z_base;
CREATE UNIQUE INDEX ON z_base (account);
CREATE MATERIALIZED VIEW hollow AS SELECT 1 AS id WITH NO DATA;
COMMENT ON TABLE narrow IS 'a comment; with -- signs';
SELECT lo_from_bytea(4711, 'a large object'), lo_from_bytea(4712, decode(repeat('ab', 300000), 'hex')), lo_create(4713);
DO $do$ DECLARE fd int := lo_open(lo_create(4714), 131072); BEGIN PERFORM lowrite(fd, 'short'), lo_lseek64(fd, 3000000, 0), lowrite(fd, 'behind a hole'); END $do$;
GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC; GRANT UPDATE ON LARGE OBJECT 4712 TO PUBLIC; REVOKE SELECT ON LARGE OBJECT 4713 FROM postgres;
COMMENT ON LARGE OBJECT 4713 IS 'it''s "empty"; $do$ %s';
ANALYZE;
`;

export const fillCorpus = async (cluster: Cluster, database: string): Promise<void> => {
  await cluster.psql(database, corpusSql);
};
