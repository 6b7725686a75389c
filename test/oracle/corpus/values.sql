-- Values at the edge of their types.
CREATE SCHEMA edges;
SET search_path = edges;

CREATE TABLE numbers (s smallint, i int, b bigint, n numeric, ns numeric(1000, 500), r real, d double precision, m money, o oid);
INSERT INTO numbers DEFAULT VALUES;
INSERT INTO numbers VALUES
  (-32768, -2147483648, -9223372036854775808, 'NaN', -0.5, 'NaN', 'NaN', '-92233720368547758.08', 0),
  (32767, 2147483647, 9223372036854775807, (repeat('9', 131072) || '.' || repeat('1', 16383))::numeric, repeat('9', 500)::numeric + 0.1, 'Infinity', '-Infinity', '92233720368547758.07', 4294967295),
  (0, 0, 0, ('0.' || repeat('0', 16382) || '1')::numeric, 0, '-0', '-0', 0, 1), (1, -1, 1, -1e1000, 1, 1.17549435e-38, 2.2250738585072014e-308, 1, 2),
  (1, -1, 1, 1.000000, 1.50, 1e-45, 4.9406564584124654e-324, 1, 2), (NULL, NULL, NULL, 0.00, NULL, 3.4028235e38, 1.7976931348623157e308, NULL, NULL),
  (NULL, NULL, NULL, NULL, NULL, 0.1::real, 0.1 + 0.2::float8, NULL, NULL);
\if :from_14
INSERT INTO numbers (n) VALUES ('Infinity'), ('-Infinity');
\endif

CREATE TABLE times (d date, t time, tz timetz, ts timestamp, tsz timestamptz, i interval, t0 time(0), i2 interval day to second(3));
INSERT INTO times DEFAULT VALUES;
INSERT INTO times VALUES
  ('infinity', '24:00', '24:00:00+14', 'infinity', 'infinity', '178000000 years', '23:59:59.6', '1 day 00:00:00.0005'),
  ('-infinity', '00:00', '00:00-15:59', '-infinity', '-infinity', '-178000000 years', '00:00', '-1 day'),
  ('4714-11-24 BC', '23:59:59.999999', '12:00:00.000001+05:45', '4714-11-24 BC', '4714-11-24 00:00:00+00 BC', '1 mon -1 day 00:00:00.000001', '00:00', '0'),
  ('5874897-12-31', '00:00:00.000001', '12:00:00+00:00:01', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '-1 mon 1 day -00:00:00.000001', NULL, NULL),
  ('0001-12-31 BC', '12:00', '12:00+00', '0001-12-31 23:59:59.999999 BC', '1883-11-18 12:03:58-07:52:58', '0', NULL, NULL),
  ('2000-02-29', '12:00', '12:00+00', '2025-10-26 02:30', '2025-10-26 02:30+01', '1 year 2 mons 3 days 04:05:06.789', NULL, NULL);

CREATE TABLE texts (id int GENERATED ALWAYS AS IDENTITY, t text, v varchar(20), c char(10), n name);
INSERT INTO texts (t, v, c, n) VALUES (NULL, NULL, NULL, NULL), ('', '', '', ''), (E'\\.', E'\\.', E'\\.', E'\\.'), (E'\\N', E'\\N', E'\\N', E'\\N'), ('NULL', 'null', 'NULL', 'NULL'),
  (E'\\.\n\\.\r\n', E'\\\n', E'\t', E'\b\f\v'), (E'\\\\', E'\\t\\n', '  lead', '"'), (E'a\\', E'\\x41', 'trail   ', ''''), (E'line\nline\rline\r\n', ',', ';', '|'), ('🐘' || repeat('é', 3000), '表', 'é', 'ключ'),
  (E'\uFEFFbom', E'e\u0301', E'\U0010FFFF', E'\u0001'), (' ', '   ', ' ', ' '), ('{}', '{NULL}', '()', '$$');
-- Every character of the encoding, 256 a row.
CREATE TABLE characters AS
  SELECT n / 256 AS block, string_agg(chr(n), '' ORDER BY n) AS characters FROM generate_series(1, :last_character) n WHERE n NOT BETWEEN 55296 AND 57343 GROUP BY n / 256;
CREATE TABLE control_characters AS SELECT n, chr(n) AS c, 'a' || chr(n) || 'b' AS within, chr(92) || chr(n) AS escaped FROM generate_series(1, 160) n;

CREATE TABLE bytes (id int, b bytea);
INSERT INTO bytes VALUES (1, NULL), (2, ''), (3, '\x00'), (4, decode(repeat('00', 1048577), 'hex')), (5, '\x5c2e0a'), (6, convert_to(E'\\x00', 'UTF8'));
INSERT INTO bytes SELECT 7, decode(string_agg(lpad(to_hex(n), 2, '0'), ''), 'hex') FROM generate_series(0, 255) n;
INSERT INTO bytes SELECT 1000 + n, sha256(n::text::bytea) FROM generate_series(1, 500) n;
CREATE TABLE large_values (id int, b bytea, t text, j jsonb);
ALTER TABLE large_values ALTER b SET STORAGE EXTERNAL, ALTER t SET STORAGE EXTENDED;
INSERT INTO large_values
  SELECT n, (SELECT string_agg(sha256((n * 100000 + i)::text::bytea), ''::bytea) FROM generate_series(1, 40000) i), repeat('text ' || n || E' \\\n', 200000),
    jsonb_build_object('many', (SELECT jsonb_agg(i) FROM generate_series(1, 10000) i)) FROM generate_series(1, 3) n;

CREATE TABLE documents (j json, jb jsonb, x xml);
INSERT INTO documents VALUES (NULL, NULL, NULL), ('null', 'null', '<a/>'), (' { "b" : 1 , "a":[ ] , "b":2}', '{"b":1,"a":[],"b":2}', E'<?xml version="1.0"?><a b="&lt;">\n<!-- c --><![CDATA[<>]]></a>'),
  ('"\ud83d\udc18 \\ \n"', '"\ud83d\udc18 \\ \n"', 'text <b>mixed</b>'), ('1e400', ('1' || repeat('0', 400))::jsonb, ''), ('[]', '{"": {"": ""}}', '<é>ü</é>');
INSERT INTO documents (j, jb) SELECT (repeat('[', 3000) || repeat(']', 3000))::json, (repeat('{"k":', 3000) || '1' || repeat('}', 3000))::jsonb;

CREATE TABLE arrays (i int[], t text[], b bytea[], f float8[], bo boolean[], d date[], j jsonb[], u uuid[], n numeric[], ts timestamptz[], iv interval[], bi bit(3)[], vb varbit[], ip inet[], p point[], x box[]);
INSERT INTO arrays VALUES
  ('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
  ('{{{1},{NULL}},{{3},{4}}}', ARRAY['', NULL, 'NULL', '"', '\', ',', '{}', E'\n', ' '], ARRAY['\x'::bytea, NULL, '\x5c22'], '{NaN,Infinity,-Infinity,-0,NULL}', '{t,f,NULL}', '{infinity,"4714-11-24 BC"}',
   ARRAY['{"a":"\"b,"}'::jsonb, 'null', NULL], ARRAY['ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid], '{NaN,1.10,1e-20}', '{-infinity,"2026-01-01 00:00:00+00"}', '{"1 mon","-00:00:01"}', '{101,000}', '{"",1}',
   '{::/0,10.0.0.1/8}', ARRAY['(NaN,-0)'::point], '{(1,1),(0,0);(2,2),(1,1)}'),
  ('[-2147483648:-2147483647]={1,2}', '[5:6]={a,b}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE others (bo boolean, bi bit(5), vb bit varying, u uuid, ip inet, c cidr, mac macaddr, mac8 macaddr8, p point, li line, ls lseg, bx box, pa path, po polygon, ci circle, ir int8range, nr numrange, dr daterange, tr tstzrange);
INSERT INTO others DEFAULT VALUES;
INSERT INTO others VALUES
  (true, B'10101', B'', '00000000-0000-0000-0000-000000000000', '::ffff:1.2.3.4/96', '2001:db8::/32', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00:00:01', '(-0,1e308)', '{1,-1,0.1}', '[(0,0),(NaN,Infinity)]', '(1,1),(0,0)',
   '[(0,0),(1,1)]', '((0,0),(1,1),(2,0))', '<(0,0),0>', '[-9223372036854775808,9223372036854775807)', '(,)', '[-infinity,infinity]', '(2026-01-01 00:00:00+00,)'),
  (false, B'00000', repeat('10', 5000)::varbit, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '0.0.0.0/0', '0.0.0.0/0', '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff:ff:ff', '(NaN,NaN)', '{0,1,0}', '[(0,0),(0,0)]', '(0,0),(0,0)',
   '((0,0))', '((0,0))', '<(1e300,-1e300),1e-300>', 'empty', '[NaN,NaN]', 'empty', '[,infinity)');

-- Wide rows, and one with all columns NULL.
SELECT 'CREATE TABLE wide (' || string_agg(format('c%s %s', n, (ARRAY['int', 'text', 'float8', 'date', 'bytea'])[n % 5 + 1]), ', ') || ')' FROM generate_series(1, 400) n \gexec
INSERT INTO wide DEFAULT VALUES;
INSERT INTO wide (c1, c400) SELECT repeat('x', n), n FROM generate_series(1, 20) n;
