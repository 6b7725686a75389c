import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { expectFailure, expectSuccess } from '../faults/support/failure.js';
import { withTransaction } from '../faults/support/slow.js';
import { runChild } from '../support/child.js';
import { runCli } from '../support/cli.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { findServerUser } from '../support/server-user.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';

const toolNames = ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'] as const;

/** The cluster's client tools; `scripts` are lines of shell that run before a tool does its work, with its call's number in $call. */
const wrapTools = (cluster: Cluster, directory: string, scripts: Partial<Record<(typeof toolNames)[number], string>>): string => {
  mkdirSync(directory, { recursive: true });
  for (const name of toolNames) {
    const real = join(cluster.binDir, name);
    const path = join(directory, name);
    writeFileSync(
      path,
      `#!/bin/bash
if [[ $1 != --version ]]; then
  sql() { env -u PGPASSWORD PGHOST='${cluster.host}' PGPORT=${cluster.port} PGUSER=postgres '${join(cluster.binDir, 'psql')}' -XAtq -v ON_ERROR_STOP=1 "$@" </dev/null >>'${directory}/log' 2>&1; }
  echo x >>'${directory}/${name}.calls'
  call=$(wc -l <'${directory}/${name}.calls')
  ${scripts[name] ?? ':'}
fi
exec '${real}' "$@"
`,
    );
    chmodSync(path, 0o755);
  }
  return directory;
};

describe('a cluster’s backup beside others', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ settings: { wal_level: 'logical', max_prepared_transactions: '5' } });
  });
  after(() => cluster.stop());

  const idOf = (stdout: string): string => stdout.trim();

  it('fails where a role that the snapshot names was dropped before pg_dump or pg_dumpall could name it', async () => {
    await cluster.psql(
      'postgres',
      'CREATE ROLE keeper; CREATE ROLE owner_gone; CREATE ROLE reader_gone; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; ALTER FUNCTION f() OWNER TO owner_gone; CREATE TABLE read_by (id int); GRANT SELECT ON read_by TO reader_gone;',
    );
    for (const [role, tool, object] of [
      ['reader_gone', 'pg_dump', /table public\.read_by of database "postgres"/],
      ['owner_gone', 'pg_dumpall', /function public\.f\(\) of database "postgres"/],
    ] as const) {
      await withTemporaryDirectory(async (directory) => {
        const drop = `sql -d postgres -c 'REASSIGN OWNED BY ${role} TO keeper; DROP OWNED BY ${role}; DROP ROLE ${role}'`;
        const tools = wrapTools(cluster, join(directory, 'bin'), { [tool]: `[[ $call == 2 ]] && ${drop}` });
        const repository = join(directory, 'repository');
        const outcome = await runCli(['backup', 'cluster', cluster.uri('postgres'), '--output-dir', repository, '--pg-bin-dir', tools]);
        expectFailure(outcome, {
          status: 1,
          code: 'role_changed',
          message: new RegExp(`^role "${role}" was dropped or renamed while the backup began: ${object.source} needs it`),
          hint: /again when no roles are being dropped/,
        });
        assert.equal(readFileSync(join(tools, 'log'), 'utf8'), '', 'the role was dropped');
        assert.equal(expectSuccess(await runCli(['list', '--quiet', '--output-dir', repository])), '', 'there is no backup');
      });
    }
    await cluster.psql('postgres', 'DROP FUNCTION f(); DROP TABLE read_by; DROP ROLE keeper');
  });

  it('saves a role that was dropped between two waves; CREATE DATABASE is not held up by template1', async () => {
    await withTemporaryDirectory(async (directory) => {
      await cluster.psql(
        'template1',
        'CREATE ROLE early LOGIN; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; ALTER FUNCTION f() OWNER TO early; ',
      );
      const drop = `sql -d template1 -c 'DROP OWNED BY early; DROP ROLE early'; sql -d postgres -c 'CREATE DATABASE meanwhile'`;
      const tools = wrapTools(cluster, join(directory, 'bin'), { pg_dumpall: `if [[ $call == 2 ]]; then ${drop}; fi` });
      const repository = join(directory, 'repository');
      const outcome = await runCli([
        'backup',
        'cluster',
        cluster.uri('postgres'),
        '--output-dir',
        repository,
        '--pg-bin-dir',
        tools,
        '--json',
      ]);
      expectSuccess(outcome);
      assert.equal(readFileSync(join(tools, 'log'), 'utf8'), '', 'neither statement failed');
      assert.equal(await cluster.psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = 'meanwhile'"), '1');
      await cluster.dropDatabase('meanwhile');
      assert.match(outcome.stdout, /"type":"notice","message":"role \\"early\\" was dropped or renamed while the backup ran/);
      const id =
        /"backup\.finished","id":"([^"]+)"|"id":"(cluster-[^"]+)"/
          .exec(outcome.stdout)
          ?.slice(1)
          .find((text) => text !== undefined) ?? '';
      for (const restore of ['dbbackup', 'restore.sh']) {
        const target = await startCluster();
        try {
          await target.psql('postgres', 'DROP ROLE tls_user, scram_user');
          if (restore === 'dbbackup')
            expectSuccess(await runCli(['restore', 'cluster', id, '--target-server', target.uri('postgres'), '--output-dir', repository]));
          else {
            const env = { ...process.env, ...target.env('postgres'), PATH: `${target.binDir}:${process.env['PATH'] ?? ''}` };
            const { status, stderr, stdout } = await runChild(join(repository, id, 'restore.sh'), ['--all'], { env });
            assert.equal(status, 0, `${stdout}${stderr}`);
            assert.match(stdout, /role "postgres" already exists: it gets what the backup says of it/);
          }
          assert.equal(await target.psql('template1', "SELECT proowner::regrole FROM pg_proc WHERE proname = 'f'"), 'early', restore);
        } finally {
          await target.stop();
        }
      }
    });
  });

  it('names the database whose table is locked, tells which allow no connections, and what to do about a limit of connections', async () => {
    await withTemporaryDirectory(async (repository) => {
      const backUp = (...options: readonly string[]) =>
        runCli(['backup', 'cluster', cluster.uri('postgres'), '--output-dir', repository, ...options]);
      await cluster.createDatabase('locked');
      await cluster.createDatabase('closed', 'ALLOW_CONNECTIONS false');
      await cluster.psql('locked', 'CREATE TABLE busy (id int)');
      await withTransaction(cluster, 'locked', 'LOCK TABLE busy IN ACCESS EXCLUSIVE MODE', async () => {
        expectFailure(await backUp('--lock-wait-timeout', '300ms'), {
          status: 1,
          code: 'lock_not_available',
          message: /^database "locked": public\.busy is locked by server process \d+$/,
        });
      });
      const warned = await backUp();
      assert.equal(warned.status, 3, warned.stderr);
      assert.match(warned.stderr, /database "closed" is left out: it allows no connections/);
      expectSuccess(await backUp('--exclude-database', 'closed'));

      await cluster.psql('postgres', 'CREATE ROLE narrow LOGIN IN ROLE pg_read_all_data; ALTER DATABASE locked CONNECTION LIMIT 0');
      const poor = ['--exclude-database', 'closed', '--no-role-passwords'];
      const refused = await runCli(['backup', 'cluster', cluster.uri('postgres', { user: 'narrow' }), '--output-dir', repository, ...poor]);
      expectFailure(refused, {
        status: 1,
        code: 'connection_failed',
        message: /too many connections for database "locked"/,
        hint: /--exclude-database/,
      });
      await cluster.psql('postgres', 'DROP DATABASE locked; DROP DATABASE closed; DROP ROLE narrow');
    });
  });

  it('shows its kind and databases in list --json', async () => {
    await withTemporaryDirectory(async (repository) => {
      const outcome = await runCli(['backup', 'cluster', cluster.uri('postgres'), '--output-dir', repository, '--quiet']);
      const id = idOf(expectSuccess(outcome));
      const { backups } = JSON.parse(expectSuccess(await runCli(['list', '--json', '--output-dir', repository]))) as {
        readonly backups: readonly Record<string, unknown>[];
      };
      assert.deepEqual(
        backups.map((backup) => [backup['id'], backup['kind'], backup['databases']]),
        [[id, 'cluster', ['template1', 'postgres']]],
      );
    });
  });

  describe('restored over databases that exist', () => {
    const restoreOver = (repository: string, id: string, ...options: readonly string[]) =>
      runCli([
        'restore',
        'cluster',
        id,
        '--target-server',
        cluster.uri('postgres'),
        '--output-dir',
        repository,
        '--clean',
        '--yes',
        ...options,
      ]);

    const withBackup = (use: (repository: string, id: string, directory: string) => Promise<void>): Promise<void> =>
      withTemporaryDirectory(async (directory) => {
        const repository = join(directory, 'repository');
        await cluster.createDatabase('shop');
        await cluster.createDatabase('wiki', 'IS_TEMPLATE true');
        await cluster.psql('shop', 'CREATE TABLE t AS SELECT 1 AS id');
        await cluster.psql('wiki', 'CREATE TABLE t AS SELECT 2 AS id');
        const outcome = await runCli(['backup', 'cluster', cluster.uri('postgres'), '--output-dir', repository, '--quiet']);
        try {
          await use(repository, idOf(expectSuccess(outcome)), directory);
        } finally {
          await cluster.psql('postgres', 'ALTER DATABASE wiki IS_TEMPLATE false');
          for (const name of ['shop', 'wiki']) await cluster.dropDatabase(name);
          // What a restore that failed keeps to be gone on with.
          for (const name of ['template1', 'postgres']) await cluster.psql(name, 'DROP SCHEMA IF EXISTS dbbackup_restore CASCADE');
        }
      });

    const listAll = () => cluster.psql('postgres', 'SELECT oid, datname, datistemplate FROM pg_database ORDER BY 1');

    it('touches nothing where one of them is in use', async () => {
      await withBackup(async (repository, id) => {
        const all = await listAll();
        const refuses = async (message: RegExp): Promise<void> => {
          expectFailure(await restoreOver(repository, id), { status: 1, code: 'target_in_use', message, hint: /End its sessions/ });
          assert.equal(await listAll(), all);
        };
        await withTransaction(cluster, 'wiki', 'SELECT 1', () =>
          refuses(/^database "wiki" cannot be dropped: it is used by server process \d+ \(other, role postgres\)$/),
        );
        await cluster.psql('wiki', "SELECT pg_create_logical_replication_slot('feed', 'pgoutput')");
        await refuses(/used by replication slot feed$/);
        await cluster.psql('postgres', "SELECT pg_drop_replication_slot('feed')");
        await cluster.psql('wiki', "BEGIN; INSERT INTO t VALUES (3); PREPARE TRANSACTION 'half'");
        await refuses(/used by prepared transaction 'half'$/);
        await cluster.psql('wiki', "ROLLBACK PREPARED 'half'");
        await cluster.psql('wiki', "CREATE SUBSCRIPTION sub CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false)");
        await refuses(/used by subscription sub$/);
        await cluster.psql('wiki', 'ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub');
        expectSuccess(await restoreOver(repository, id));
        assert.equal(await cluster.psql('wiki', 'SELECT id FROM t'), '2');
      });
    });

    it('tells how a database that is filled as it is differs', async () => {
      await withBackup(async (repository, id) => {
        const create = (options: string) =>
          cluster.psql('template1', `DROP DATABASE postgres WITH (FORCE); CREATE DATABASE postgres TEMPLATE template0 ${options}`);
        await create("ENCODING LATIN1 LOCALE 'C'");
        try {
          const { status, stderr } = await restoreOver(repository, id);
          assert.equal(status, 3, stderr);
          for (const [what, found, wanted] of [
            ['encoding', 'LATIN1', 'UTF8'],
            ['collation', 'C', 'C.UTF-8'],
            ['character classification', 'C', 'C.UTF-8'],
          ])
            assert.ok(stderr.includes(`database "postgres" exists and keeps its ${what}: "${found}", in the backup "${wanted}"`), stderr);
          assert.doesNotMatch(stderr, /keeps its (?:tablespace|locale provider|ICU)|database "template1"/);
        } finally {
          await create('');
        }
      });
    });

    it('refuses the directory of a tablespace that another one uses', async () => {
      await withTemporaryDirectory(async (directory) => {
        const user = findServerUser();
        const path = join(directory, 'fast');
        mkdirSync(path, { mode: 0o700 });
        if (user !== undefined) for (const made of [directory, path]) chownSync(made, user.uid, user.gid);
        await cluster.psql('postgres', `CREATE ROLE keeper; CREATE TABLESPACE fast OWNER keeper LOCATION '${path}'`);
        await withBackup(async (repository, id) => {
          await cluster.psql('postgres', 'ALTER TABLESPACE fast RENAME TO other; REVOKE ALL ON TABLESPACE other FROM keeper');
          await cluster.psql('postgres', 'ALTER TABLESPACE other OWNER TO postgres');
          await cluster.psql('postgres', 'DROP ROLE keeper');
          expectFailure(await restoreOver(repository, id), {
            status: 1,
            code: 'io_error',
            message: new RegExp(`^tablespace "fast" needs the directory ${path}, which is in use by another tablespace: it holds PG_`),
            hint: /--no-tablespaces/,
          });
          assert.equal(
            await cluster.psql('postgres', "SELECT count(*) FROM pg_roles WHERE rolname = 'keeper'"),
            '0',
            'nothing was touched',
          );
          await cluster.psql('postgres', 'DROP TABLESPACE other');
          expectSuccess(await restoreOver(repository, id));
          await cluster.psql('postgres', 'DROP TABLESPACE fast');
          await cluster.psql('postgres', 'DROP ROLE keeper');
        });
      });
    });

    it('writes no hash of a password into a temporary file', async () => {
      await withBackup(async (repository, id, directory) => {
        const scratch = join(directory, 'scratch');
        mkdirSync(scratch);
        const found = join(directory, 'found');
        writeFileSync(found, '');
        const look = `{ ls -R '${scratch}' >&3; grep -rl 'SCRAM-SHA' '${scratch}'; } 3>>'${directory}/seen' >>'${found}'`;
        const tools = wrapTools(cluster, join(directory, 'bin'), { psql: look, pg_restore: look });
        await cluster.psql('postgres', 'DROP ROLE scram_user');
        const outcome = await runCli(
          [
            'restore',
            'cluster',
            id,
            '--target-server',
            cluster.uri('postgres'),
            '--output-dir',
            repository,
            '--clean',
            '--yes',
            '--pg-bin-dir',
            tools,
          ],
          { env: { TMPDIR: scratch } },
        );
        expectSuccess(outcome);
        assert.match(await cluster.psql('postgres', "SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'"), /^SCRAM-SHA/);
        assert.match(readFileSync(join(directory, 'seen'), 'utf8'), /database-\d+\.dump/, 'temporary files were looked at');
        assert.equal(readFileSync(found, 'utf8'), '');
      });
    });

    it('gives a database its name back that could not be replaced, and tells what is complete', async () => {
      await withBackup(async (repository, id, directory) => {
        const failing = `input=$(cat; echo .); if [[ $input == *'CREATE DATABASE wiki'* ]]; then echo 'psql: error: it broke' >&2; exit 3; fi; '${join(cluster.binDir, 'psql')}' "$@" <<<"\${input%.}"; exit`;
        const tools = wrapTools(cluster, join(directory, 'bin'), { psql: failing });
        const all = (await listAll()).split('\n').filter((line) => !line.includes('shop'));
        expectFailure(await restoreOver(repository, id, '--pg-bin-dir', tools), {
          status: 1,
          code: 'tool_failed',
          message: /"wiki".*it broke/,
          hint: /^Complete: "template1", "postgres", "shop"\. Incomplete: "wiki"\. Not begun: none\.$/,
        });
        assert.deepEqual(
          (await listAll()).split('\n').filter((line) => !line.includes('shop')),
          all,
        );
        assert.equal(await cluster.psql('wiki', 'SELECT id FROM t'), '2');
      });
    });

    it('gives a database its name back that could not be dropped', async () => {
      await withBackup(async (repository, id, directory) => {
        // Someone connects to the old database while the new one is created; the server waits five seconds for him before it refuses, and as long again to rename it back.
        const disturbing = `input=$(cat; echo .); '${join(cluster.binDir, 'psql')}' "$@" <<<"\${input%.}" || exit; if [[ $input == *'CREATE DATABASE wiki'* ]]; then
          old=$(env -u PGPASSWORD PGHOST='${cluster.host}' PGPORT=${cluster.port} PGUSER=postgres '${join(cluster.binDir, 'psql')}' -XAtqd postgres -c "SELECT datname FROM pg_database WHERE datname LIKE 'dbbackup_old_%'")
          (sql -d "$old" -c 'SELECT pg_sleep(8)' >/dev/null 2>&1 &)
          while [[ $(env -u PGPASSWORD PGHOST='${cluster.host}' PGPORT=${cluster.port} PGUSER=postgres '${join(cluster.binDir, 'psql')}' -XAtqd postgres -c "SELECT count(*) FROM pg_stat_activity WHERE datname = '$old'") == 0 ]]; do sleep 0.05; done
        fi; exit 0`;
        const tools = wrapTools(cluster, join(directory, 'bin'), { psql: disturbing });
        const wiki = (await listAll()).split('\n').filter((line) => line.includes('wiki'));
        expectFailure(await restoreOver(repository, id, '--pg-bin-dir', tools, '--exclude-database', 'shop'), {
          status: 1,
          code: 'server_error',
          message: /"wiki".*is being accessed by other users/,
          hint: /Incomplete: "wiki"/,
        });
        assert.deepEqual(
          (await listAll()).split('\n').filter((line) => /wiki|dbbackup/.test(line)),
          wiki,
        );
        assert.equal(await cluster.psql('wiki', 'SELECT id FROM t'), '2');
      });
    });
  });
});
