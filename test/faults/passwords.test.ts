import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCli } from '../support/cli.js';
import { type Cluster, withCluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { expectSuccess } from './support/failure.js';
import { listFiles } from './support/leftovers.js';
import { commandLines } from './support/processes.js';
import { startRun } from './support/running.js';
import { smallSql, withScene } from './support/scene.js';
import { waitForBlocked, withTransaction } from './support/slow.js';

/** No form of it stands for anything else in what a run writes. */
const password = "pä55 wörd'%20\\x";
const sql = `${smallSql} CREATE VIEW seen AS SELECT * FROM orders; COMMENT ON VIEW seen IS 'commented';`;

interface Way {
  readonly title: string;
  /** Arguments that name the database, and the environment. */
  toLogin(
    cluster: Cluster,
    database: string,
    role: string,
    base: string,
  ): Promise<{ readonly args: string; readonly env: Readonly<Record<string, string>> }>;
}

const ways: readonly Way[] = [
  {
    title: 'a URI',
    toLogin: async (cluster, database, role) => ({ args: cluster.uri(database, { user: role, password, via: 'tcp' }), env: {} }),
  },
  {
    title: 'a keyword string',
    toLogin: async (cluster, database, role) => {
      const quoted = password.replace(/[\\']/g, '\\$&');
      return { args: `host=127.0.0.1 port=${cluster.port} user=${role} dbname=${database} password='${quoted}'`, env: {} };
    },
  },
  {
    title: 'PGPASSWORD',
    toLogin: async (cluster, database, role) => ({
      args: database,
      env: { ...cluster.env(database, { user: role, via: 'tcp' }), PGPASSWORD: password },
    }),
  },
  {
    title: 'a password file',
    toLogin: async (cluster, database, role, base) => {
      const path = join(base, 'pgpass');
      await writeFile(path, `127.0.0.1:*:*:${role}:${password.replace(/[\\:]/g, '\\$&')}\n`, { mode: 0o600 });
      return { args: database, env: { ...cluster.env(database, { user: role, via: 'tcp' }), PGPASSFILE: path } };
    },
  },
];

/** The password in the forms in which it might be written. */
const forms = [
  password,
  encodeURIComponent(password),
  password.replace(/[\\']/g, '\\$&'),
  JSON.stringify(password).slice(1, -1),
  Buffer.from(password).toString('latin1'),
];

const expectNoPassword = (text: string, where: string): void => {
  for (const form of forms) assert.ok(!text.includes(form), `${where} holds the password: ${text}`);
};

/** Asserts what the arguments of dbbackup and of the client tool it runs are while somebody keeps the tool waiting. */
const expectArguments = async (pid: number, tool: string): Promise<void> => {
  const lines = await commandLines(pid);
  assert.ok(
    lines.some((line) => line.includes(`/${tool} `)),
    lines.join('\n'),
  );
  for (const line of lines) expectNoPassword(line, 'an argument');
};

describe('a password', () => {
  it('stands in no argument, log, Event, error, journal or manifest, however it is given', async () => {
    await withCluster(
      async (cluster) => {
        const role = 'somebody';
        await cluster.psql('postgres', `CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '${password.replaceAll("'", "''")}'`);
        await withScene(
          sql,
          async ({ database, base, repository }) => {
            const log = join(base, 'log');
            const common = ['--output-dir', repository, '--log-file', log, '--verbose'];
            for (const { title, toLogin } of ways) {
              const { args, env } = await toLogin(cluster, database, role, base);
              const run = startRun(['backup', 'single', args, ...common], { env });
              await withTransaction(cluster, database, 'ALTER VIEW seen SET (security_barrier)', async () => {
                await waitForBlocked(cluster, database);
                await expectArguments(run.pid, 'pg_dump');
              });
              const outcome = await run.outcome;
              const id = run.events.flatMap((event) => (event.type === 'backup.started' ? [event.id] : []))[0] ?? '';
              expectSuccess(outcome);

              const target = await toLogin(cluster, uniqueDatabaseName(), role, base);
              const name = uniqueDatabaseName();
              await cluster.createDatabase(name);
              const { args: targetArgs, env: targetEnv } = await toLogin(cluster, name, role, base);
              const restored = await withTransaction(cluster, name, 'LOCK TABLE pg_catalog.pg_description IN SHARE MODE', async (end) => {
                const restore = startRun(['restore', 'single', id, '--target-db', targetArgs, ...common], { env: targetEnv });
                await waitForBlocked(cluster, name);
                await expectArguments(restore.pid, 'pg_restore');
                await end('ROLLBACK');
                return restore.outcome;
              });
              expectSuccess(restored);

              const failed = await runCli(['backup', 'single', target.args, ...common], { env: target.env });
              assert.match(failed.stderr, /code: database_not_found/);
              const refused = await runCli(['backup', 'single', args, '--jobs', 'x', ...common], { env });
              assert.equal(refused.status, 2);
              for (const { stdout, stderr } of [outcome, restored, failed, refused])
                expectNoPassword(`${stdout}${stderr}`, `output with ${title}`);
            }
            expectNoPassword(await readFile(log, 'utf8'), 'the log');
            for (const path of await listFiles(repository)) expectNoPassword(await readFile(join(repository, path), 'latin1'), path);
          },
          { cluster },
        );
      },
      { auth: 'scram-sha-256' },
    );
  });
});
