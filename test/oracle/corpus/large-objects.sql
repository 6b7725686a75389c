-- Large objects with their owners, grants and comments.
SELECT lo_from_bytea(100001, 'a large object'), lo_from_bytea(100002, ''), lo_from_bytea(100003, decode(repeat('ab', 300000), 'hex'));
SELECT lo_create(100004), lo_from_bytea(100005, '\x00'), lo_from_bytea(4294967295, 'the last OID');
-- With a hole, which reads as zeros.
DO $$ DECLARE fd int; BEGIN fd := lo_open(100004, 131072); PERFORM lo_lseek64(fd, 100000, 0); PERFORM lowrite(fd, 'after a hole'); PERFORM lo_close(fd); END $$;
SELECT lo_from_bytea(200000 + n, sha256(n::text::bytea)) FROM generate_series(1, 300) n;
ALTER LARGE OBJECT 100001 OWNER TO oracle_owner;
GRANT SELECT, UPDATE ON LARGE OBJECT 100001 TO oracle_reader WITH GRANT OPTION;
GRANT SELECT ON LARGE OBJECT 100002 TO PUBLIC;
REVOKE ALL ON LARGE OBJECT 100003 FROM postgres;
COMMENT ON LARGE OBJECT 100003 IS E'a comment with ''quotes'' and \\ signs';
