import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { backupCluster, restore, restoreCluster, verify } from 'dbbackup';
import { runChild, runChildOrThrow } from '../support/child.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { withoutConnectionEnv } from '../support/login.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';

export interface ClusterRun {
  /** Major version of the source. */
  readonly version: number;
  /** Of the target, whose bootstrap superuser has another name than the source's. */
  readonly target: number;
}

const psqlAs = (cluster: Cluster, user: string, database: string, sql: string): Promise<string> =>
  runChildOrThrow(join(cluster.binDir, 'psql'), ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-'], {
    input: sql,
    env: { ...withoutConnectionEnv(process.env), ...cluster.env(database, { user }) },
  });

/** Grants by superusers, by whom a superuser gave the right, by whom he gave it in turn, and before 16 by a role that had none. */
const rolesSql = (version: number): string => `
DROP ROLE tls_user, scram_user;
CREATE ROLE grp; CREATE ROLE zoe LOGIN PASSWORD 'a secret'; CREATE ROLE alice CREATEROLE; CREATE ROLE adam; CREATE ROLE boss SUPERUSER;
CREATE ROLE dave CONNECTION LIMIT 3 VALID UNTIL '2031-02-03 04:05:06+00';
GRANT grp TO zoe WITH ADMIN OPTION; SET ROLE zoe; GRANT grp TO alice WITH ADMIN OPTION; SET ROLE alice; GRANT grp TO adam; RESET ROLE;
SET ROLE boss; GRANT alice TO dave; RESET ROLE;
SET ROLE alice; CREATE ROLE child; ${version < 16 ? 'GRANT child TO adam;' : ''} RESET ROLE;
ALTER ROLE dave SET work_mem TO '9MB'; ALTER ROLE postgres SET work_mem TO '7MB'; COMMENT ON ROLE grp IS 'a group';
CREATE DATABASE shop OWNER zoe; ALTER DATABASE shop SET work_mem TO '8MB'; ALTER ROLE dave IN DATABASE shop SET work_mem TO '6MB';
REVOKE CONNECT ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE shop TO grp;
CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C';
${version >= 16 ? `SET allow_in_place_tablespaces TO on; CREATE TABLESPACE quick LOCATION '';\nCREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'und' ICU_RULES '&a < z < b' TABLESPACE quick;` : ''}
${version >= 17 ? "CREATE DATABASE plain TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8';" : ''}
`;

const shopSql = `SET ROLE zoe; CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, repeat('ü', n % 9) FROM generate_series(1, 1000) n;
GRANT SELECT ON t TO grp WITH GRANT OPTION; SET ROLE adam; GRANT SELECT ON t TO dave; RESET ROLE;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; ALTER FUNCTION f() OWNER TO child; SELECT lo_from_bytea(4711, 'large');`;

/** Read by queries that every version knows; a superuser's grants are those of whoever is the bootstrap superuser, and so are those of who had no right to grant. */
const factsSql = (version: number): string => `
SELECT rolname, rolsuper, rolcreaterole, rolcanlogin, rolconnlimit, rolvaliduntil AT TIME ZONE 'UTC', rolpassword, rolconfig, shobj_description(oid, 'pg_authid')
FROM pg_authid LEFT JOIN (SELECT setrole, setconfig AS rolconfig FROM pg_db_role_setting WHERE setdatabase = 0) s ON setrole = oid
WHERE rolname !~ '^pg_' AND rolname NOT IN ('root', 'postgres') ORDER BY 1;
SELECT r.rolname, m.rolname, a.admin_option, CASE WHEN g.rolsuper OR NOT EXISTS
  (SELECT FROM pg_auth_members b WHERE b.roleid = a.roleid AND b.member = a.grantor AND b.admin_option) THEN 'a superuser' ELSE g.rolname END
FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.grantor
WHERE r.rolname !~ '^pg_' ${version >= 16 ? '' : "AND NOT (r.rolname = 'child' AND m.rolname = 'alice')"} ORDER BY 1, 2, 4;
SELECT datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a),
  (SELECT array_agg(coalesce(nullif(setrole, 0)::regrole::text, '-') || setconfig::text ORDER BY 1) FROM pg_db_role_setting WHERE setdatabase = d.oid)
FROM pg_database d WHERE datname NOT IN ('template0', 'template1', 'postgres') ORDER BY 1;
${version >= 16 ? `SELECT datname, datlocprovider, ${version >= 17 ? 'datlocale' : 'daticulocale'}, daticurules FROM pg_database WHERE datname IN ('sorted', 'plain') ORDER BY 1;` : ''}
\\connect shop
SELECT relname, pg_get_userbyid(relowner), replace(relacl::text, 'arwdDxtm', 'arwdDxt') FROM pg_class WHERE relname = 't';
SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'f'; SELECT lo_get(4711);
`;

/** Declares the tests that back a cluster up and restore it into a server whose bootstrap superuser is another, by dbbackup and by restore.sh. */
export const describeCluster = ({ version, target }: ClusterRun): void => {
  describe(`a cluster of PostgreSQL ${version} in PostgreSQL ${target}, under another bootstrap superuser`, () => {
    let source: Cluster;
    before(async () => {
      source = await startCluster({ version });
    });
    after(() => source.stop());

    const withTarget = async (use: (cluster: Cluster) => Promise<void>): Promise<void> => {
      const settings = target >= 16 ? { allow_in_place_tablespaces: 'on' } : {};
      const cluster = await startCluster({ version: target, settings });
      try {
        await cluster.psql('postgres', 'DROP ROLE tls_user, scram_user; CREATE ROLE helper SUPERUSER LOGIN');
        await psqlAs(cluster, 'helper', 'postgres', 'ALTER ROLE postgres RENAME TO root');
        await psqlAs(cluster, 'root', 'postgres', 'DROP ROLE helper');
        await use(cluster);
      } finally {
        await cluster.stop();
      }
    };

    it('is the same, by either way', async () => {
      await source.psql('postgres', rolesSql(version));
      await source.psql('shop', shopSql);
      await source.psql('latin', "CREATE TABLE bytes (v text); INSERT INTO bytes VALUES (convert_from('\\xe4f6', 'LATIN1'))");
      // Facts of both are read by the queries of the older one.
      const facts = await source.psql('postgres', factsSql(version));
      const rows = await tableFingerprints(source, 'shop');
      await withTemporaryDirectory(async (outputDir) => {
        const common = { outputDir, jobs: 2 };
        const { id, warnings } = await backupCluster({
          ...common,
          connection: { database: source.uri('postgres') },
          pgBinDir: source.binDir,
        });
        assert.deepEqual(warnings, []);
        assert.deepEqual((await verify({ id, outputDir })).damage, []);

        const assertSame = async (cluster: Cluster): Promise<void> => {
          assert.equal(await cluster.psql('postgres', factsOf(version, target)), facts);
          assert.deepEqual(await tableFingerprints(cluster, 'shop'), rows);
          assert.equal(await cluster.psql('latin', "SELECT v = 'äö' FROM bytes"), 't');
          assert.equal(await cluster.psql('postgres', "SELECT rolconfig FROM pg_roles WHERE rolname = 'postgres'"), '{work_mem=7MB}');
        };
        await withTarget(async (cluster) => {
          const connection = { database: cluster.uri('postgres', { user: 'root' }) };
          const options = { ...common, id, pgBinDir: cluster.binDir, isChecking: true };
          const report = await restoreCluster({ ...options, connection, areTablespacesLeftOut: true });
          assert.deepEqual(report.warnings, []);
          await assertSame(cluster);
          if (version < 16) return;
          // One database of it, created by dbbackup itself.
          await restore({
            ...options,
            database: 'sorted',
            connection: { database: cluster.uri('again', { user: 'root' }) },
            isCreating: true,
          });
          const rules = "SELECT daticurules FROM pg_database WHERE datname = 'again'";
          assert.equal(await cluster.psql('postgres', rules), '&a < z < b');
        });
        await withTarget(async (cluster) => {
          const env = {
            ...withoutConnectionEnv(process.env),
            ...cluster.env('postgres', { user: 'root' }),
            PATH: `${cluster.binDir}:${process.env['PATH'] ?? ''}`,
          };
          const { status, stdout, stderr } = await runChild(join(outputDir, id, 'restore.sh'), ['--all', '-j', '2'], { env });
          assert.equal(status, 0, `${stdout}${stderr}`);
          await assertSame(cluster);
        });
      });
    });
  });
};

/** The queries of the source, with the names that the target has for the same columns. */
const factsOf = (version: number, target: number): string =>
  target >= 17 ? factsSql(version).replace('daticulocale', 'datlocale') : factsSql(version);
