-- Owners, grants, default privileges, row-level security, comments, labels.
CREATE SCHEMA access AUTHORIZATION oracle_owner;
SET search_path = access;

CREATE TABLE granted (id int, secret text, open text);
INSERT INTO granted SELECT n, 'secret ' || n, 'open' FROM generate_series(1, 10) n;
ALTER TABLE granted OWNER TO oracle_owner;
GRANT SELECT, INSERT ON granted TO oracle_reader WITH GRANT OPTION;
GRANT UPDATE (open), SELECT (id) ON granted TO "Rôle ""odd"" 'x'";
GRANT ALL ON granted TO PUBLIC;
GRANT USAGE ON SCHEMA access TO oracle_reader;
SET ROLE oracle_reader;
GRANT SELECT ON access.granted TO "Rôle ""odd"" 'x'";
RESET ROLE;
CREATE TABLE revoked (id int);
REVOKE ALL ON revoked FROM postgres;
CREATE SEQUENCE counter OWNED BY NONE;
SELECT nextval('counter');
GRANT USAGE ON SEQUENCE counter TO oracle_reader;
CREATE FUNCTION hidden() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION hidden() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hidden() TO oracle_reader;
CREATE TYPE kept AS ENUM ('a');
REVOKE USAGE ON TYPE kept FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA access TO "Rôle ""odd"" 'x'";
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT SELECT ON pg_catalog.pg_authid TO oracle_reader;

ALTER DEFAULT PRIVILEGES FOR ROLE oracle_owner IN SCHEMA access GRANT SELECT ON TABLES TO oracle_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE oracle_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE oracle_owner GRANT USAGE ON SEQUENCES TO "Rôle ""odd"" 'x'" WITH GRANT OPTION;

CREATE TABLE guarded (id int, owner_name text);
INSERT INTO guarded SELECT n, CASE n % 2 WHEN 0 THEN 'oracle_reader' ELSE 'someone' END FROM generate_series(1, 20) n;
ALTER TABLE guarded OWNER TO oracle_owner;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON guarded FOR SELECT TO oracle_reader USING (owner_name = CURRENT_USER);
CREATE POLICY nothing_new ON guarded AS RESTRICTIVE FOR INSERT WITH CHECK (id < 0);

COMMENT ON SCHEMA access IS 'a schema';
COMMENT ON TABLE granted IS E'a table; with -- signs, ''quotes'', back\\slashes\nand a new line';
COMMENT ON COLUMN granted.secret IS 'a column $$ $1';
COMMENT ON SEQUENCE counter IS 'a sequence';
COMMENT ON FUNCTION hidden() IS 'a function';
COMMENT ON TYPE kept IS 'a type';
COMMENT ON POLICY own_rows ON guarded IS 'a policy';
COMMENT ON EXTENSION plpgsql IS 'an extension';
COMMENT ON CONSTRAINT not_forty_two ON relations.plain IS 'a constraint';
COMMENT ON INDEX relations.plain_partial IS 'an index';
COMMENT ON VIEW views.z_plain IS 'a view';
COMMENT ON MATERIALIZED VIEW views.m_first IS 'a materialised view';
COMMENT ON RULE log_inserts ON views.with_rules IS 'a rule';
COMMENT ON TRIGGER no_row ON partitions.by_range IS 'a trigger';
COMMENT ON DOMAIN types.positive IS 'a domain';
COMMENT ON CONSTRAINT small ON DOMAIN types.over_domain IS 'a constraint of a domain';
