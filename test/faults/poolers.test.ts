import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PreflightReport } from '#src/commands/preflight.js';
import { runCli } from '../support/cli.js';
import { withPgBouncer } from '../support/pgbouncer.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { smallSql, withScene } from './support/scene.js';

for (const { mode, reason } of [
  { mode: 'transaction', reason: /gives each transaction another server process: (two sessions|one session) w/ },
  { mode: 'statement', reason: /does not serve a second session: .*statement pooling/ },
]) {
  test(`a pooler in ${mode} mode is refused with the reason`, () =>
    withScene(smallSql, ({ cluster, database, repository, run }) =>
      withPgBouncer(cluster, { pool_mode: mode }, async (port) => {
        const uri = `postgresql://postgres@127.0.0.1:${port}/${database}?sslmode=disable`;
        expectFailure(await run(['backup', 'single', uri]), {
          status: 1,
          code: 'pooled_connection',
          message: reason,
          hint: /Connect to the PostgreSQL server itself.*--no-preflight/,
        });
        const { status, stdout } = await runCli(['preflight', uri, '--json', '--output-dir', repository]);
        assert.equal(status, 1);
        const pooler = (JSON.parse(stdout) as PreflightReport).findings.find(({ check }) => check === 'pooler');
        assert.equal(pooler?.status, 'fail');
        assert.match(pooler?.measured ?? '', reason);
      }),
    ));
}

test('a pooler that keeps sessions is told and used', () =>
  withScene(smallSql, ({ cluster, database, repository, run }) =>
    withPgBouncer(cluster, { pool_mode: 'session' }, async (port) => {
      const uri = `postgresql://postgres@127.0.0.1:${port}/${database}?sslmode=disable`;
      const { stdout } = await runCli(['preflight', uri, '--json', '--output-dir', repository]);
      const pooler = (JSON.parse(stdout) as PreflightReport).findings.find(({ check }) => check === 'pooler');
      assert.equal(pooler?.status, 'warn');
      assert.match(pooler?.measured ?? '', /pooler that keeps sessions/);
      const id = expectSuccess(await run(['backup', 'single', uri])).trim();
      expectSuccess(await run(['verify', id]));
    }),
  ));
