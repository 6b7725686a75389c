-- Names that break whatever pastes them into SQL, a shell word, a line or a path.
CREATE SCHEMA "Ünïcode ""schéma"" $(touch x)";
SET search_path = "Ünïcode ""schéma"" $(touch x)";

CREATE TABLE "naïve 表; DROP TABLE x; --" ("ключ" int PRIMARY KEY, "a""b" text, "$1" int, "%I %s \n" text, " " int);
INSERT INTO "naïve 表; DROP TABLE x; --" SELECT n, 'ü' || n, n, '%', n FROM generate_series(1, 20) n;
CREATE TABLE "two
lines	and a tab" ("col
umn" int, "\." text, "\N" text);
INSERT INTO "two
lines	and a tab" VALUES (1, E'\\.', E'\\N');
CREATE TABLE "SELECT" ("from" int, "where" text, "Case" int, "case" int);
INSERT INTO "SELECT" VALUES (1, 'x', 2, 3);
CREATE TABLE "../../etc/passwd" ("/" int);
INSERT INTO "../../etc/passwd" VALUES (1);
CREATE TABLE "'`""\\$(echo)*?[a]{b}~!#&|<>" (id int);
INSERT INTO "'`""\\$(echo)*?[a]{b}~!#&|<>" VALUES (1);
CREATE TABLE "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘" (id int);
INSERT INTO "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘" VALUES (1);
CREATE TABLE "UPPER" (id int);
CREATE TABLE "upper" (id int);
INSERT INTO "UPPER" VALUES (1);
INSERT INTO "upper" VALUES (2);
CREATE SEQUENCE "seq'uence""; --";
SELECT setval('"seq''uence""; --"', 77);
CREATE MATERIALIZED VIEW "vi""ew\n'" AS SELECT count(*) FROM "SELECT";
CREATE TYPE "ty pe" AS ENUM ('"', '''', '\', '');
CREATE TABLE "of ty pe" ("va lue" "ty pe", "va lues" "ty pe"[]);
INSERT INTO "of ty pe" VALUES ('"', ARRAY['\', '''', '"']::"ty pe"[]), ('', '{}');
COMMENT ON TABLE "SELECT" IS E'comment''s \\ text\n\\connect nowhere\n\\! touch y';
CREATE FUNCTION "fun""ction"("ar g" int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE INDEX "in""dex" ON "SELECT" ("Case");
