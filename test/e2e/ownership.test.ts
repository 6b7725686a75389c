import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { expectFailure, expectSuccess } from '../faults/support/failure.js';
import { type Scene, withScene } from '../faults/support/scene.js';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';

const sql = (owner: string, reader: string): string => `
CREATE TABLE t (id serial PRIMARY KEY, note text); INSERT INTO t (note) SELECT 'x' FROM generate_series(1, 10);
ALTER TABLE t OWNER TO ${owner}; GRANT SELECT ON t TO ${reader}; GRANT CREATE ON SCHEMA public TO ${owner};
`;

const facts = `SELECT pg_get_userbyid(relowner) || ' ' || coalesce(array_length(relacl, 1), 0) FROM pg_class WHERE relname = 't'`;

const withRoles = async (
  fn: (scene: Scene, owner: string, reader: string, login: (role: string, database: string) => string) => Promise<void>,
): Promise<void> => {
  const owner = uniqueDatabaseName('owner');
  const reader = uniqueDatabaseName('reader');
  await withScene('', async (scene) => {
    await scene.cluster.psql('postgres', `CREATE ROLE ${owner} LOGIN; CREATE ROLE ${reader} LOGIN`);
    try {
      await scene.cluster.psql(scene.database, sql(owner, reader));
      await fn(scene, owner, reader, (role, database) => `postgresql://${role}@127.0.0.1:${scene.cluster.port}/${database}`);
    } finally {
      await scene.cluster.psql(scene.database, `DROP OWNED BY ${owner}, ${reader}`);
      await scene.cluster.psql('postgres', `DROP ROLE ${owner}, ${reader}`);
    }
  });
};

describe('owners, privileges and roles', () => {
  test('come back, or are left out of the restore or of the backup', () =>
    withRoles(async (scene, owner) => {
      const id = await scene.backUp();
      const bare = await scene.backUp(['-O', '-x']);
      const expected: readonly (readonly [id: string, options: readonly string[], facts: string])[] = [
        [id, [], `${owner} 2`],
        [id, ['--no-owner'], 'postgres 2'],
        [id, ['--no-privileges'], `${owner} 0`],
        [id, ['-O', '-x'], 'postgres 0'],
        [bare, [], 'postgres 0'],
      ];
      for (const [backup, options, found] of expected) {
        await withDatabase(scene.cluster, async (target) => {
          expectSuccess(await scene.run(['restore', 'single', backup, '--target-db', scene.cluster.uri(target), ...options]));
          // With an owner left out the grantor is another, too.
          assert.match(
            await scene.cluster.psql(target, facts),
            new RegExp(`^${found.replace(/\d$/, found.endsWith('0') ? '0' : '[1-9]')}$`),
            options.join(' '),
          );
          assert.equal(await scene.cluster.psql(target, 'SELECT count(*) FROM t'), '10');
          await scene.cluster.psql(target, `DROP OWNED BY ${owner} CASCADE`);
        });
      }
    }));

  test('a role is taken on in every session of a backup and of a restore', () =>
    withRoles(async (scene, owner, reader, login) => {
      // The reader may become the owner, and inherits nothing.
      await scene.cluster.psql('postgres', `ALTER ROLE ${reader} NOINHERIT; GRANT ${owner} TO ${reader}`);
      await scene.cluster.psql(
        scene.database,
        `REVOKE ALL ON t FROM ${reader}; REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO ${owner}`,
      );
      const args = ['backup', 'single', login(reader, scene.database)];
      expectFailure(await scene.run(args), {
        status: 1,
        code: 'permission_denied',
        message: /schema public/,
        hint: /GRANT USAGE ON SCHEMA public/,
      });
      const id = expectSuccess(await scene.run([...args, '--role', owner])).trim();
      await withDatabase(scene.cluster, async (target) => {
        await scene.cluster.psql(target, `ALTER SCHEMA public OWNER TO ${owner}`);
        const to = ['restore', 'single', id, '--target-db', login(reader, target), '-O', '-x', '-t', 't'];
        expectFailure(await scene.run(to), { status: 1, code: 'permission_denied', message: /schema public/ });
        expectSuccess(await scene.run([...to, '--role', owner, '--check']));
        assert.match(await scene.cluster.psql(target, facts), new RegExp(`^${owner} 0$`));
        await scene.cluster.psql(target, `ALTER SCHEMA public OWNER TO postgres; DROP OWNED BY ${owner}`);
      });
      expectFailure(await scene.run([...args, '--role', 'no_such_role']), {
        status: 1,
        code: 'role_missing',
        message: /role "no_such_role" does not exist/,
        hint: /--role/,
      });
      await withDatabase(scene.cluster, async (target) => {
        expectFailure(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--role', 'no_such_role']), {
          status: 1,
          code: 'role_missing',
          message: /role "no_such_role" does not exist/,
          hint: /--role/,
        });
      });
    }));

  test('a role with pg_read_all_data backs up everything; what it cannot see is named with the GRANT to run', async (t) => {
    await withRoles(async (scene, _owner, reader, login) => {
      if (scene.cluster.version < 14) {
        t.skip('pg_read_all_data came with 14');
        return;
      }
      await scene.cluster.psql(
        scene.database,
        `CREATE SCHEMA hidden; CREATE TABLE hidden.things (id int); INSERT INTO hidden.things VALUES (1); CREATE SEQUENCE hidden.counter;
         CREATE TABLE secret (id int); INSERT INTO secret VALUES (1); CREATE SEQUENCE numbers;
         CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; CREATE FOREIGN TABLE far_away (id int) SERVER far;
         SELECT lo_from_bytea(0, 'large');`,
      );
      const args = ['backup', 'single', login(reader, scene.database)];
      const refuse = async (message: RegExp, hint: RegExp, more: readonly string[] = []): Promise<void> =>
        void expectFailure(await scene.run([...args, ...more]), { status: 1, code: 'permission_denied', message, hint });
      await refuse(/may not use schema hidden/, new RegExp(`GRANT USAGE ON SCHEMA hidden TO ${reader};`));
      await scene.cluster.psql(scene.database, `GRANT USAGE ON SCHEMA hidden TO ${reader}`);
      await refuse(
        /hidden\.counter, hidden\.things, public\.numbers, public\.secret/,
        /GRANT SELECT ON TABLE hidden\.things, public\.secret TO \S+; GRANT SELECT ON SEQUENCE hidden\.counter, public\.numbers/,
      );
      // What is not asked for needs no privilege.
      await refuse(/may not read hidden\.counter, hidden\.things$/, /GRANT SELECT/, ['-n', 'hidden']);
      expectSuccess(await scene.run([...args, '-t', 't', '--exclude-table-data', 't_id_seq']));
      await scene.cluster.psql('postgres', `GRANT pg_read_all_data TO ${reader}`);
      await scene.cluster.psql(scene.database, 'ALTER TABLE secret ENABLE ROW LEVEL SECURITY');
      await refuse(/row security hides rows of public\.secret/, new RegExp(`ALTER ROLE ${reader} BYPASSRLS`));
      expectSuccess(await scene.run([...args, '--no-large-objects', '--exclude-table-data', 'secret']));
      await scene.cluster.psql('postgres', `ALTER ROLE ${reader} BYPASSRLS`);
      const id = expectSuccess(await scene.run([...args, '--no-large-objects'])).trim();
      await withDatabase(scene.cluster, async (target) => {
        expectSuccess(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--check']));
        const counts =
          'SELECT (SELECT count(*) FROM hidden.things), (SELECT count(*) FROM secret), (SELECT relkind FROM pg_class WHERE relname = $$far_away$$)';
        assert.equal(await scene.cluster.psql(target, counts), '1|1|f');
      });
    });
  });
});
