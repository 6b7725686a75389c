-- Views, materialised views that read one another in an order that names do not tell, and rules.
CREATE SCHEMA views;
SET search_path = views;

CREATE TABLE base (id int PRIMARY KEY, amount numeric, kind text);
INSERT INTO base SELECT n, n * 1.5, chr(97 + n % 3) FROM generate_series(1, 300) n;
CREATE VIEW z_plain WITH (security_barrier) AS SELECT * FROM base WHERE id > 10 WITH CASCADED CHECK OPTION;
CREATE RECURSIVE VIEW counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 10;
CREATE MATERIALIZED VIEW m_first AS SELECT kind, sum(amount) AS amount FROM z_plain GROUP BY kind;
CREATE MATERIALIZED VIEW a_second AS SELECT count(*) AS kinds, sum(amount) AS total FROM m_first;
CREATE VIEW between_them AS SELECT kinds * 2 AS doubled FROM a_second;
CREATE MATERIALIZED VIEW a_third AS SELECT doubled, n FROM between_them, counting;
CREATE UNIQUE INDEX ON a_third (n);
CREATE INDEX ON m_first (amount);
CREATE MATERIALIZED VIEW hollow AS SELECT 1 AS id WITH NO DATA;
CREATE FUNCTION reads_view() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM views.m_first';
CREATE MATERIALIZED VIEW through_function AS SELECT views.reads_view() AS kinds;
CREATE MATERIALIZED VIEW with_options WITH (fillfactor = 50) AS SELECT id FROM base WHERE id < 5;
-- Views whose definitions depend on one another through a constraint: the primary key makes the group valid.
CREATE VIEW grouped_by_key AS SELECT id, amount, kind FROM base GROUP BY id;

CREATE TABLE with_rules (id int, note text);
CREATE TABLE rule_log (id int, note text);
CREATE RULE log_inserts AS ON INSERT TO with_rules DO ALSO INSERT INTO views.rule_log VALUES (NEW.id, 'by the rule');
INSERT INTO with_rules VALUES (1, 'a'), (2, 'b');
CREATE TABLE swallowing (id int);
INSERT INTO swallowing VALUES (1), (2), (3);
CREATE RULE swallow AS ON INSERT TO swallowing DO INSTEAD NOTHING;
CREATE RULE view_insert AS ON INSERT TO between_them DO INSTEAD INSERT INTO views.base (id) VALUES (NEW.doubled);
ALTER TABLE swallowing DISABLE RULE swallow;
CREATE TABLE always_rule (id int);
INSERT INTO always_rule VALUES (7);
CREATE RULE always_swallow AS ON INSERT TO always_rule DO INSTEAD NOTHING;
ALTER TABLE always_rule ENABLE ALWAYS RULE always_swallow;
