import type { Cluster } from '../../support/cluster.js';

/** Names that break whatever pastes them into SQL, a shell word or a line. */
export const evilTable = 'a "; $(touch x) \\ \' table';
export const newlineTable = 'two\nlines';

/** A database with one of everything that the catalogue has to tell apart. Needs a superuser, hstore and citext. */
export const sampleSql = `
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE SCHEMA "Ünïcode ""schéma""";
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN more_positive AS positive CHECK (VALUE > 1);
CREATE DOMAIN int_list AS int[];
CREATE TYPE float_range AS RANGE (subtype = float8);

CREATE TABLE types (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, dropped int, a_mood mood, moods mood[], a_pair pair, positive more_positive, positives positive[],
  list int_list, class regclass, attributes hstore, label citext, labels text[], document xml, span float_range, twice int GENERATED ALWAYS AS (id * 2) STORED,
  spans tstzrange, "Select" int
);
ALTER TABLE types DROP COLUMN dropped;
INSERT INTO types (class) VALUES ('types');

CREATE TABLE only_generated (g int GENERATED ALWAYS AS (1) STORED);
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 3);
CREATE UNLOGGED TABLE forgetful (id int);
CREATE TABLE "Ünïcode ""schéma"""."naïve 表" ("ключ" int, "a""b" text);
CREATE TABLE "${evilTable.replaceAll('"', '""')}" (id int);
CREATE TABLE "${newlineTable}" ("col
umn" int);

CREATE TABLE parent (id int);
CREATE TABLE child (extra int) INHERITS (parent);
CREATE TABLE tree (id int, kind text) PARTITION BY RANGE (id);
CREATE TABLE tree_low PARTITION OF tree FOR VALUES FROM (0) TO (100) PARTITION BY LIST (kind);
CREATE TABLE tree_low_a PARTITION OF tree_low FOR VALUES IN ('a');
CREATE TABLE tree_high PARTITION OF tree FOR VALUES FROM (100) TO (200);

CREATE SEQUENCE untouched START 7;
CREATE SEQUENCE used;
SELECT setval('used', 9223372036854775807);
CREATE SEQUENCE reset;
SELECT setval('reset', 42, false);

CREATE MATERIALIZED VIEW a_late AS SELECT 1 AS id;
CREATE VIEW between_them AS SELECT id FROM a_late;
CREATE MATERIALIZED VIEW b_early AS SELECT id FROM between_them;
CREATE OR REPLACE VIEW between_them AS SELECT id FROM a_late;
CREATE MATERIALIZED VIEW z_base AS SELECT 1 AS id;
CREATE MATERIALIZED VIEW a_on_z AS SELECT id FROM z_base;
CREATE MATERIALIZED VIEW hollow AS SELECT 1 AS id;
CREATE MATERIALIZED VIEW on_hollow AS SELECT id FROM hollow;
REFRESH MATERIALIZED VIEW hollow WITH NO DATA;

CREATE TABLE guarded (id int, owner text);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE TABLE big (id int, body text);
ALTER TABLE big ALTER body SET STORAGE EXTERNAL;
INSERT INTO big SELECT n, repeat('x', 20000) FROM generate_series(1, 50) n;

-- What an extension's script does: a member that is no configuration table, two that are, and a sequence.
CREATE SCHEMA ext;
CREATE TABLE ext.member (id int);
CREATE TABLE ext.config (id int, is_own bool);
CREATE TABLE ext.config_all (id int);
CREATE SEQUENCE ext.config_seq;
ALTER EXTENSION citext ADD TABLE ext.member;
ALTER EXTENSION citext ADD TABLE ext.config;
ALTER EXTENSION citext ADD TABLE ext.config_all;
ALTER EXTENSION citext ADD SEQUENCE ext.config_seq;
UPDATE pg_extension SET extconfig = ARRAY['ext.config', 'ext.config_all', 'ext.config_seq']::regclass[]::oid[], extcondition = ARRAY['WHERE is_own', '', '']
WHERE extname = 'citext';
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE elsewhere (id int) SERVER nowhere;
SELECT lo_from_bytea(0, 'one'), lo_from_bytea(0, 'two');
`;

export const createSample = async (cluster: Cluster, database: string): Promise<void> => {
  await cluster.psql(database, sampleSql);
};
