import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { ChildOutcome } from '../support/child.js';
import { runCli } from '../support/cli.js';
import { quoteIdentifier } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { scramLogin, tlsLogin } from '../support/login.js';
import { sharedCluster } from '../support/shared-cluster.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { listFiles } from './support/leftovers.js';
import { smallSql, withScene } from './support/scene.js';

/** Runs `fn` with a TCP port: one that accepts and never says a word, or one where nobody listens. */
const withPort = async (isListening: boolean, fn: (port: number) => Promise<void>): Promise<void> => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  if (!isListening) await close();
  try {
    await fn(address.port);
  } finally {
    for (const socket of sockets) socket.destroy();
    if (isListening) await close();
  }
};

const runBackup = (base: string, database: string): Promise<ChildOutcome> =>
  runCli(['backup', 'single', database, '--output-dir', `${base}/repository`, '--quiet']);

describe('a server that cannot be reached or does not let in', () => {
  it('is told for an unknown database, in backup and restore', async () => {
    await withScene(smallSql, async ({ cluster, run, repository, backUp }) => {
      const missing = uniqueDatabaseName('missing');
      const expected = { status: 1, code: 'database_not_found', message: new RegExp(`database "${missing}" does not exist`) };
      expectFailure(await run(['backup', 'single', cluster.uri(missing)]), expected);
      assert.deepEqual(await listFiles(repository), []);
      const id = await backUp();
      expectFailure(await run(['restore', 'single', id, '--target-db', cluster.uri(missing)]), expected);
    });
  });

  it('is told for an unknown role', async () => {
    await withScene('', async ({ cluster, database, run, repository }) => {
      const outcome = await run(['backup', 'single', database], { env: { ...cluster.env(database), PGUSER: 'nobody_of_that_name' } });
      expectFailure(outcome, { status: 1, code: 'authentication_failed', message: /role "nobody_of_that_name" does not exist/ });
      assert.deepEqual(await listFiles(repository), []);
    });
  });

  for (const [title, login] of [
    ['plain TCP', scramLogin],
    ['TLS', tlsLogin],
  ] as const) {
    it(`is told for a wrong and a missing password, over ${title}, without the password`, async () => {
      await withScene('', async ({ cluster, database, run, repository }) => {
        const wrong = 'not-the-right-password';
        for (const [args, env] of [
          [[cluster.uri(database, { ...login, password: wrong })], {}],
          [[database], { ...cluster.env(database, login), PGPASSWORD: wrong }],
          [[database], { ...cluster.env(database, login), PGPASSWORD: undefined, PGPASSFILE: '/dev/null' }],
        ] as const) {
          const outcome = await run(['backup', 'single', ...args], { env });
          const message = /password authentication failed for user|no password supplied/;
          expectFailure(outcome, { status: 1, code: 'authentication_failed', message, hint: /password/ });
          assert.ok(!`${outcome.stdout}${outcome.stderr}`.includes(wrong), outcome.stderr);
        }
        assert.deepEqual(await listFiles(repository), []);
      });
    });
  }

  it('is told for a closed port, of one host and of several', async () => {
    await withTemporaryDirectory(async (base) => {
      await withPort(false, async (port) => {
        for (const host of ['127.0.0.1', 'localhost', '127.0.0.1,localhost', base]) {
          const outcome = await runBackup(base, `postgresql://postgres@/x?host=${encodeURIComponent(host)}&port=${port}`);
          expectFailure(outcome, { status: 1, code: 'connection_failed', message: /failed/, hint: /host, port/ });
        }
        expectFailure(await runBackup(base, `postgresql://host.invalid:${port}/x`), {
          status: 1,
          code: 'connection_failed',
          message: /host\.invalid/,
        });
      });
      assert.deepEqual(await listFiles(base), []);
    });
  });

  it('is told after connect_timeout for a port that accepts and never answers', async () => {
    await withTemporaryDirectory(async (base) => {
      await withPort(true, async (port) => {
        const startedAt = performance.now();
        const outcome = await runBackup(base, `postgresql://postgres@127.0.0.1:${port}/x?connect_timeout=2`);
        expectFailure(outcome, { status: 1, code: 'connection_failed', message: /127\.0\.0\.1.*connect_timeout/, hint: /host, port/ });
        assert.ok(performance.now() - startedAt < 6000);
      });
      assert.deepEqual(await listFiles(base), []);
    });
  });

  it('names the one table that may not be read, with the GRANT that helps', async () => {
    const role = uniqueDatabaseName('reader');
    const cluster = await sharedCluster();
    const name = 'secret "notes';
    await cluster.psql('postgres', `CREATE ROLE ${role} LOGIN`);
    try {
      await withScene(
        `${smallSql} CREATE TABLE ${quoteIdentifier(name)} (id int); GRANT SELECT ON orders, files TO ${role};`,
        async (scene) => {
          const uri = cluster.uri(scene.database, { user: role });
          const { hint } = expectFailure(await scene.run(['backup', 'single', uri]), {
            status: 1,
            code: 'permission_denied',
            message: /^role \S+ may not read public\."secret ""notes"$/,
            hint: /^Run: GRANT SELECT ON TABLE /,
          });
          await scene.cluster.psql(scene.database, hint.replace(/^Run: /, ''));
          expectSuccess(await scene.run(['backup', 'single', uri]));
          await scene.cluster.psql(scene.database, `DROP OWNED BY ${role}`);
        },
      );
    } finally {
      await cluster.psql('postgres', `DROP ROLE ${role}`);
    }
  });
});
