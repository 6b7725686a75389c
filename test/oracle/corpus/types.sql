-- Types of the user's own, arrays of all of them, and columns whose types have no binary form.
CREATE SCHEMA types;
SET search_path = types;

CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'happy', 'ünïcode', E'new\nline');
ALTER TYPE mood ADD VALUE 'between' BEFORE 'happy';
CREATE TYPE pair AS (a int, b text);
CREATE TYPE nested AS (p pair, m mood, many pair[], at timestamptz);
CREATE DOMAIN positive AS int DEFAULT 1 NOT NULL CHECK (VALUE > 0);
CREATE DOMAIN over_domain AS positive CONSTRAINT small CHECK (VALUE < 1000);
CREATE DOMAIN pair_domain AS pair CHECK ((VALUE).a > 0);
CREATE DOMAIN array_domain AS int[] CHECK (array_length(VALUE, 1) < 5);
CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE text_range AS RANGE (subtype = text, collation = "C");
CREATE TYPE hollow AS ();

CREATE TABLE of_them (
  id int PRIMARY KEY, m mood, p pair, n nested, d over_domain, pd pair_domain, ad array_domain, fr float_range, tr text_range, h hollow,
  ms mood[], ps pair[], ns nested[], ds positive[], pds pair_domain[], frs float_range[], trs text_range[], grid mood[][]);
INSERT INTO of_them (id, d) VALUES (1, 1);
INSERT INTO of_them VALUES
  (2, 'sad', (1, ''), ((NULL, NULL), NULL, '{}', NULL), 2, (1, NULL), '{}', 'empty', 'empty', NULL, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
  (3, E'new\nline', (-1, E'a,"b"\\(c)\n'), ((1, 'x'), 'happy', ARRAY[(1, 'a')::pair, NULL, (2, NULL)::pair], 'infinity'), 999, (7, '{}'), '{1,2,NULL}', '[-Infinity,NaN]', '(a,"b""c"]',
   ROW()::hollow, ARRAY['sad', NULL, 'it''s "ok"', 'between']::mood[], ARRAY[(1, '"')::pair, (NULL, NULL)::pair], ARRAY[((1, 'x'), 'happy', NULL, '-infinity')::nested],
   ARRAY[1, 2]::positive[], ARRAY[(1, 'q')::pair_domain], ARRAY['[1,2)'::float_range, 'empty', NULL], ARRAY['[a,b)'::text_range], '{{sad,NULL},{happy,ünïcode}}');
-- Lower bounds other than one.
INSERT INTO of_them (id, d, ms, ad) VALUES (4, 4, '[0:1]={sad,happy}', '[-3:-2]={8,9}');
-- A new value of the enum, used: its sort order is a fraction.
INSERT INTO of_them (id, d, m) VALUES (5, 5, 'between');
CREATE INDEX ON of_them (m);

CREATE TABLE object_names (c regclass, p regproc, pr regprocedure, o regoper, orr regoperator, t regtype, n regnamespace, r regrole, co regconfig, d regdictionary, cs regclass[]);
INSERT INTO object_names VALUES
  ('types.of_them', 'pg_catalog.now', 'pg_catalog.lower(text)', NULL, '+(int,int)', 'types.mood', 'types', 'oracle_owner', 'english', 'simple', ARRAY['types.object_names'::regclass, NULL]),
  ('types.object_names', 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE text_only (a aclitem, aa aclitem[], tid tid, x xid, c cid, s pg_snapshot, l pg_lsn, v tsvector, q tsquery, j jsonpath, ch "char", n name, rc refcursor, iv int2vector, ov oidvector);
INSERT INTO text_only VALUES ('oracle_owner=r/postgres', '{}', '(42,7)', '4294967295', '1', '10:20:10,14,15', 'FFFFFFFF/FFFFFFFF', 'a:1A,2B ''b c'':3', '!a & (b | ''c d'':*A)', '$.a[*] ? (@ > 1)',
  '\377', 'a name', 'cursor', '1 2 3', '4 5');
INSERT INTO text_only (ch) SELECT chr(n)::"char" FROM generate_series(1, 127) n;

CREATE TYPE odd_type;
CREATE FUNCTION odd_in(cstring) RETURNS odd_type LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION odd_out(odd_type) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE odd_type (INPUT = odd_in, OUTPUT = odd_out, LIKE = text, CATEGORY = 'S', PREFERRED = false, DELIMITER = ';');
CREATE TABLE without_binary (id int, s odd_type, ss odd_type[]);
INSERT INTO without_binary VALUES (1, E'a;b\\\n\t', '{"a;b";c}'), (2, NULL, NULL), (3, '', '{}');
CREATE TYPE never_defined;
\if :from_14
CREATE TABLE multiranges (i int4multirange, f types.float_multirange, ts tstzmultirange[]);
INSERT INTO multiranges VALUES ('{[1,2),[5,9)}', '{[1.5,2.5],[NaN,NaN]}', ARRAY['{}'::tstzmultirange, '{(-infinity,infinity)}']), (NULL, '{}', '{}');
\endif
