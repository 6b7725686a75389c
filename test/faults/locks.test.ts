import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startCluster } from '../support/cluster.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { expectFailedRun } from './support/leftovers.js';
import { smallSql, withScene } from './support/scene.js';
import { withTransaction } from './support/slow.js';

describe('a table that another session has locked', () => {
  for (const time of ['300', '300ms', '1s']) {
    it(`makes the backup fail after --lock-wait-timeout ${time}, by its name and its holder's`, async () => {
      await withScene(smallSql, async ({ cluster, database, repository, run }) => {
        await withTransaction(cluster, database, 'LOCK TABLE orders IN ACCESS EXCLUSIVE MODE', async () => {
          const startedMs = performance.now();
          const outcome = await run(['backup', 'single', cluster.uri(database), '--lock-wait-timeout', time]);
          expectFailure(outcome, {
            status: 1,
            code: 'lock_not_available',
            message: /^public\.orders is locked by server process \d+$/,
            hint: /other session/,
          });
          assert.ok(performance.now() - startedMs < 15_000);
        });
        await expectFailedRun(repository);
      });
    });
  }

  it('is waited for as long as it takes by default, and within the limit', async () => {
    await withScene(smallSql, async ({ cluster, database, run }) => {
      for (const options of [[], ['--lock-wait-timeout', '60s']]) {
        await withTransaction(cluster, database, 'LOCK TABLE orders IN ACCESS EXCLUSIVE MODE', async (end) => {
          const outcome = run(['backup', 'single', cluster.uri(database), ...options]);
          setTimeout(() => void end('COMMIT'), 500);
          expectSuccess(await outcome);
        });
      }
    });
  });

  it('has a limit of a form that is checked', async () => {
    await withScene(smallSql, async ({ cluster, database, run }) => {
      for (const time of ['', '-1', 'soon', '10 days', '99999999999', '1.5s'])
        expectFailure(await run(['backup', 'single', cluster.uri(database), '--lock-wait-timeout', time]), {
          status: 2,
          code: 'usage',
          message: /^--lock-wait-timeout must be milliseconds/,
          hint: /--help/,
        });
    });
  });
});

describe('more tables than the server has room for locks', () => {
  const createTables = (count: number): string => `SELECT format('CREATE TABLE t%s ()', n) FROM generate_series(1, ${count}) n \\gexec\n`;

  // Room for (10 + 0) * 10 locks, and what the server has in reserve: the tables are more than both together.
  const settings = { max_locks_per_transaction: '10', max_connections: '10', max_wal_senders: '0', max_prepared_transactions: '0' };

  it('makes the backup fail before it reads, with the value to set; with that value it works', async () => {
    const count = 4000;
    const cluster = await startCluster({ settings });
    let wanted = '';
    try {
      await withScene(
        createTables(count),
        async ({ database, repository, run }) => {
          const { hint } = expectFailure(await run(['backup', 'single', cluster.uri(database)]), {
            status: 1,
            code: 'server_error',
            message: /no room for 4000 locks: out of shared memory/,
            hint: /^Set max_locks_per_transaction = 800 or more on the server \(now 10\)/,
          });
          wanted = /= (\d+)/.exec(hint)?.[1] ?? '';
          await expectFailedRun(repository);
        },
        { cluster },
      );
    } finally {
      await cluster.stop();
    }
    const raised = await startCluster({ settings: { ...settings, max_locks_per_transaction: wanted } });
    try {
      await withScene(createTables(count), async ({ backUp }) => void (await backUp(['--jobs', '2'])), { cluster: raised });
    } finally {
      await raised.stop();
    }
  });
});
