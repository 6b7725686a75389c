import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type BackupOptions, backup, type DbbackupError, type Event, restore, show } from 'dbbackup';
import { toLargeObjectStatements } from '#src/restore-kit/large-objects.js';
import { runChild } from '../support/child.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';
import { sharedCluster } from '../support/shared-cluster.js';
import { readLargeObjectContents } from './large-object-corpus.js';

/** Privileges as a set: their order means nothing. */
const propertiesSql = `SELECT m.oid, pg_get_userbyid(m.lomowner), (SELECT array_agg(a::text ORDER BY a::text) FROM
  aclexplode(coalesce(m.lomacl, acldefault('L', m.lomowner))) a) FROM pg_largeobject_metadata m ORDER BY m.oid`;

describe('large objects at the edges', () => {
  let cluster: Cluster;
  let outputDir: string;
  const roles = ['owner', 'x', 'y', 'r', 'z'].map(uniqueDatabaseName) as [string, string, string, string, string];
  const [owner, x, y, r, z] = roles;

  before(async () => {
    cluster = await sharedCluster();
    outputDir = await mkdtemp(join(tmpdir(), 'dbbackup-lo-edges-'));
    for (const role of roles) await cluster.psql('postgres', `CREATE ROLE ${role} LOGIN`);
  });

  after(async () => {
    for (const role of roles) await cluster.psql('postgres', `DROP ROLE ${role}`);
    await rm(outputDir, { recursive: true, force: true });
  });

  const connectionTo = (database: string, user?: string) => ({ database: cluster.uri(database), ...(user === undefined ? {} : { user }) });

  const save = (database: string, options: Partial<BackupOptions> = {}, onEvent: (event: Event) => void = () => undefined) =>
    backup({ connection: connectionTo(database), outputDir, pgBinDir: cluster.binDir, jobs: 2, ...options }, { onEvent });

  const load = (
    id: string,
    target: string,
    options: { user?: string; isChecking?: boolean } = {},
    onEvent: (event: Event) => void = () => undefined,
  ) =>
    restore(
      {
        id,
        outputDir,
        pgBinDir: cluster.binDir,
        connection: connectionTo(target, options.user),
        jobs: 4,
        isChecking: options.isChecking ?? true,
      },
      { onEvent },
    );

  const runScript = (id: string, target: string, args: readonly string[] = []) =>
    runChild(join(outputDir, id, 'restore.sh'), ['-d', target, ...args], {
      env: { ...process.env, ...cluster.env(target), PATH: `${cluster.binDir}:${process.env['PATH'] ?? ''}` },
    });

  /** A database with these objects. */
  const withSource = (sql: string, use: (source: string) => Promise<void>) =>
    withDatabase(cluster, async (source) => {
      await cluster.psql(source, sql);
      await use(source);
    });

  /** Restores into two new databases, by the tool and by restore.sh, and runs `check` with each. */
  const intoBoth = async (id: string, check: (target: string) => Promise<void>) => {
    await withDatabase(cluster, async (target) => {
      await load(id, target);
      await check(target);
    });
    await withDatabase(cluster, async (target) => {
      const { status, stderr } = await runScript(id, target, ['-j', '4']);
      assert.equal(status, 0, stderr);
      await check(target);
    });
  };

  test('with empty pages, in the middle and at the end, by segments in any order', () =>
    withSource(
      `DO $$ DECLARE fd int; b bytea; BEGIN
       SELECT string_agg(sha256(i::text::bytea), ''::bytea) INTO b FROM generate_series(1, 32768) i;
       fd := lo_open(lo_create(1), 131072);
       PERFORM lowrite(fd, b), lo_truncate64(fd, 4096), lo_truncate64(fd, 8192), lo_lseek64(fd, 10240, 0);
       FOR i IN 1..24 LOOP PERFORM lowrite(fd, b); END LOOP;
       PERFORM lo_truncate64(fd, 30 * 1048576);
       fd := lo_open(lo_create(2), 131072);
       PERFORM lo_truncate64(fd, 4096), lo_truncate64(fd, 8192);
       END $$`,
      async (source) => {
        const empty = 'SELECT loid, pageno FROM pg_largeobject WHERE length(data) = 0 ORDER BY 1, 2';
        assert.equal(await cluster.psql(source, empty), '1|2\n1|4\n1|15360\n2|2\n2|4');
        const { id } = await save(source, { chunkSizeBytes: 4 * 1024 ** 2 });
        const { manifest } = await show({ id, outputDir });
        assert.ok((manifest.databases[0]?.largeObjects?.content.segments.length ?? 0) > 3);
        await intoBoth(id, async (target) => {
          assert.equal(await readLargeObjectContents(cluster, target), await readLargeObjectContents(cluster, source));
          assert.equal(await cluster.psql(target, empty), '1|15360\n2|4');
        });
      },
    ));

  test('with the default privileges spelt out, and grants whose order is not that of the ACL', () =>
    withSource(
      `SELECT lo_from_bytea(1, 'a'), lo_from_bytea(2, 'b');
       GRANT SELECT ON LARGE OBJECT 1 TO PUBLIC; REVOKE SELECT ON LARGE OBJECT 1 FROM PUBLIC;
       ALTER LARGE OBJECT 2 OWNER TO ${owner};
       GRANT SELECT ON LARGE OBJECT 2 TO ${x} WITH GRANT OPTION; GRANT SELECT ON LARGE OBJECT 2 TO ${y} WITH GRANT OPTION;
       SET ROLE ${x}; GRANT SELECT ON LARGE OBJECT 2 TO ${r} WITH GRANT OPTION;
       SET ROLE ${r}; GRANT SELECT ON LARGE OBJECT 2 TO ${z};
       SET ROLE ${y}; GRANT SELECT ON LARGE OBJECT 2 TO ${r} WITH GRANT OPTION;
       SET ROLE ${x}; REVOKE SELECT ON LARGE OBJECT 2 FROM ${r};`,
      async (source) => {
        assert.notEqual(await cluster.psql(source, 'SELECT lomacl FROM pg_largeobject_metadata WHERE oid = 1'), '');
        const { id } = await save(source);
        await intoBoth(id, async (target) =>
          assert.equal(await cluster.psql(target, propertiesSql), await cluster.psql(source, propertiesSql)),
        );
      },
    ));

  test('of a role that is dropped while they are saved', async () => {
    const passing = uniqueDatabaseName('passing');
    await cluster.psql('postgres', `CREATE ROLE ${passing}`);
    await withSource(
      `SELECT lo_from_bytea(1, 'a'), lo_from_bytea(2, 'b'); ALTER LARGE OBJECT 1 OWNER TO ${passing}; GRANT SELECT ON LARGE OBJECT 2 TO ${passing};`,
      async (source) => {
        const image = await cluster.psql(source, propertiesSql);
        const env = { ...process.env, ...cluster.env(source) };
        const { id } = await save(source, {}, ({ type }) => {
          if (type !== 'plan.ready') return;
          const sql = `ALTER LARGE OBJECT 1 OWNER TO ${owner}; REVOKE ALL ON LARGE OBJECT 2 FROM ${passing}; DROP ROLE ${passing}`;
          execFileSync('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', sql], { env });
        });
        await cluster.psql('postgres', `CREATE ROLE ${passing}`);
        await withDatabase(cluster, async (target) => {
          await load(id, target);
          assert.match(image, new RegExp(passing));
          assert.equal(
            (await cluster.psql(target, 'SELECT pg_get_userbyid(lomowner) FROM pg_largeobject_metadata ORDER BY oid')).split('\n')[0],
            passing,
          );
          assert.equal(
            await cluster.psql(target, `SELECT count(*) FROM pg_largeobject_metadata WHERE lomacl::text LIKE '%${passing}=r/%'`),
            '1',
          );
        });
      },
    );
    await cluster.psql('postgres', `DROP ROLE ${passing}`);
  });

  test('that no longer exist, though their pages do, are counted in a warning', () =>
    withSource(
      `SELECT lo_from_bytea(1, 'a'), lo_from_bytea(2, 'b'), lo_from_bytea(3, 'c'); SET allow_system_table_mods TO on; DELETE FROM pg_largeobject_metadata WHERE oid > 1`,
      async (source) => {
        const { id, warnings } = await save(source);
        assert.equal(warnings.filter((text) => text.includes('2 large objects that do not exist')).length, 1, warnings.join());
        await intoBoth(id, async (target) => assert.equal(await cluster.psql(target, 'SELECT loid FROM pg_largeobject'), '1'));
      },
    ));

  test('whose pages are compressed are parted by what they hold', () =>
    withSource(
      `DO $$ DECLARE fd int; BEGIN FOR o IN 1..2 LOOP fd := lo_open(lo_create(o), 131072);
       FOR i IN 1..20 LOOP PERFORM lowrite(fd, repeat('z', 1048576)::bytea); END LOOP; END LOOP; END $$`,
      async (source) => {
        assert.ok(Number(await cluster.psql(source, "SELECT pg_relation_size('pg_largeobject')")) < 4 * 1024 ** 2);
        const { id } = await save(source, { chunkSizeBytes: 4 * 1024 ** 2 });
        const content = (await show({ id, outputDir })).manifest.databases[0]?.largeObjects?.content;
        assert.equal(content?.rowCount, (2 * 20 * 1024 ** 2) / 2048);
        const largest = Math.max(...(content?.segments ?? []).map(({ rawBytes }) => rawBytes));
        assert.ok(largest < 6 * 1024 ** 2, `${largest} bytes`);
        await intoBoth(id, async (target) =>
          assert.equal(await readLargeObjectContents(cluster, target), await readLargeObjectContents(cluster, source)),
        );
      },
    ));

  test('whose owner is no role end a backup with their name', () =>
    withSource(
      `SELECT lo_from_bytea(7, 'a'); SET allow_system_table_mods TO on; UPDATE pg_largeobject_metadata SET lomowner = 4000000000`,
      (source) =>
        assert.rejects(
          save(source),
          ({ code, message }: DbbackupError) =>
            code === 'value_unsupported' && message === 'large object 7 belongs to role 4000000000, which does not exist',
        ),
    ));

  test('whose grants cannot be made are an error, not a warning of the server', async () => {
    const { beginSql, endSql } = toLargeObjectStatements('set', 2048);
    await withDatabase(cluster, async (target) => {
      await cluster.psql(target, "SELECT lo_from_bytea(7, 'a')");
      const grants = JSON.stringify([
        ['postgres', x, 'SELECT', false],
        [x, z, 'SELECT', false],
      ]);
      const insert = `INSERT INTO pg_temp.dbbackup_large_objects VALUES (7, 'postgres', '${grants}', NULL, NULL)`;
      await assert.rejects(
        cluster.psql(target, [...beginSql, insert, ...endSql].join(';\n')),
        new RegExp(`privileges on large object 7 could not be granted: role ${x} may not grant them`),
      );
    });
  });

  test('where plpgsql is missing at the target: no role is blamed', () =>
    withSource(`DROP EXTENSION plpgsql; SELECT lo_from_bytea(1, 'a')`, async (source) => {
      const { id } = await save(source);
      await withDatabase(cluster, async (target) => {
        await cluster.psql(target, 'DROP EXTENSION plpgsql');
        await assert.rejects(
          load(id, target),
          ({ code, message }: DbbackupError) => code !== 'role_missing' && message.includes('plpgsql'),
        );
      });
    }));

  test('are compared by --check only by a role that can, which is asked before anything is restored', () =>
    withSource(
      `CREATE TABLE t AS SELECT 1 AS a; ALTER TABLE t OWNER TO ${owner}; SELECT lo_from_bytea(1, 'a'); ALTER LARGE OBJECT 1 OWNER TO ${owner}`,
      async (source) => {
        const { id } = await save(source);
        await withDatabase(cluster, async (target) => {
          await cluster.psql(target, `GRANT ALL ON DATABASE ${target} TO ${owner}; GRANT ALL ON SCHEMA public TO ${owner}`);
          await assert.rejects(
            load(id, target, { user: owner }),
            ({ code, message, hint }: DbbackupError) =>
              code === 'permission_denied' &&
              message.includes('pg_largeobject') &&
              hint?.includes(`GRANT SELECT ON TABLE pg_catalog.pg_largeobject TO ${owner};`) === true,
          );
          assert.equal(await cluster.psql(target, "SELECT count(*) FROM pg_class WHERE relname = 't'"), '0');
          await cluster.psql(target, `GRANT SELECT ON TABLE pg_catalog.pg_largeobject TO ${owner}`);
          await load(id, target, { user: owner });
        });
      },
    ));

  test('are not added by restore.sh to a database that holds others', () =>
    withSource(`SELECT lo_from_bytea(10, 'a')`, async (source) => {
      const { id } = await save(source);
      await withDatabase(cluster, async (target) => {
        await cluster.psql(target, `SELECT lo_from_bytea(99, 'a stranger')`);
        const { status, stderr } = await runScript(id, target);
        assert.equal(status, 1);
        assert.match(stderr, /already holds 1 large objects/);
        assert.equal(await cluster.psql(target, 'SELECT oid FROM pg_largeobject_metadata'), '99');
      });
    }));

  test('which their owner may no longer read are told before they are read', () =>
    withSource(
      `SELECT lo_from_bytea(10, 'a'); ALTER LARGE OBJECT 10 OWNER TO ${owner}; REVOKE SELECT ON LARGE OBJECT 10 FROM ${owner}`,
      async (source) => {
        await assert.rejects(
          save(source, { connection: connectionTo(source, owner) }),
          ({ code, hint }: DbbackupError) => code === 'permission_denied' && hint?.includes('GRANT SELECT ON LARGE OBJECT 10') === true,
        );
      },
    ));

  test('of a missing role, or under a taken OID, end a restore before rows are loaded', async () => {
    const gone = uniqueDatabaseName('gone');
    await cluster.psql('postgres', `CREATE ROLE ${gone}`);
    await withSource(
      `CREATE TABLE big AS SELECT g FROM generate_series(1, 1000) g; SELECT lo_from_bytea(10, 'a'); ALTER LARGE OBJECT 10 OWNER TO ${gone}`,
      async (source) => {
        const { id } = await save(source);
        await cluster.psql(source, `ALTER LARGE OBJECT 10 OWNER TO ${owner}; DROP ROLE ${gone}`);
        await withDatabase(cluster, async (target) => {
          await assert.rejects(
            load(id, target),
            ({ code, message }: DbbackupError) => code === 'role_missing' && message.includes('large object 10'),
          );
          assert.equal(await cluster.psql(target, 'SELECT count(*) FROM big'), '0');
        });
        await withDatabase(cluster, async (target) => {
          assert.equal((await runScript(id, target)).status, 1);
          assert.equal(await cluster.psql(target, 'SELECT count(*) FROM big'), '0');
        });
      },
    );
  });
});

describe('large objects where the target has default privileges for them', () => {
  test('get the privileges they had', async () => {
    const cluster = await startCluster({ version: 18 });
    const outputDir = await mkdtemp(join(tmpdir(), 'dbbackup-lo-default-'));
    try {
      const common = { outputDir, pgBinDir: cluster.binDir, jobs: 2 };
      await cluster.psql('postgres', 'CREATE ROLE reader; CREATE ROLE owner');
      await withDatabase(cluster, async (source) => {
        await cluster.psql(
          source,
          `SELECT lo_from_bytea(1, 'a'), lo_from_bytea(2, 'b'), lo_from_bytea(3, 'c'); ALTER LARGE OBJECT 2 OWNER TO owner;
          GRANT SELECT ON LARGE OBJECT 3 TO reader; REVOKE UPDATE ON LARGE OBJECT 3 FROM postgres`,
        );
        const { id } = await backup({ ...common, connection: { database: cluster.uri(source) } });
        await withDatabase(cluster, async (target) => {
          await cluster.psql(
            target,
            'ALTER DEFAULT PRIVILEGES GRANT ALL ON LARGE OBJECTS TO PUBLIC, reader; ALTER DEFAULT PRIVILEGES REVOKE UPDATE ON LARGE OBJECTS FROM postgres',
          );
          await restore({ ...common, id, connection: { database: cluster.uri(target) }, isChecking: true });
          assert.equal(await cluster.psql(target, propertiesSql), await cluster.psql(source, propertiesSql));
        });
      });
    } finally {
      await cluster.stop();
      await rm(outputDir, { recursive: true, force: true });
    }
  });
});
