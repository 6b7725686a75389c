import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { PreflightReport } from '#src/commands/preflight.js';
import { toOverallStatus } from '#src/core/findings.js';
import { expectFailure, expectSuccess } from '../faults/support/failure.js';
import { type Scene, smallSql, withScene } from '../faults/support/scene.js';
import { runCli } from '../support/cli.js';
import { startCluster } from '../support/cluster.js';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';

const statuses = { ok: 0, warn: 3, fail: 1 } as const;

/** Runs a preflight with --json; its exit status must be that of its findings. */
const look = async ({ repository }: Pick<Scene, 'repository'>, args: readonly string[]): Promise<PreflightReport> => {
  const { status, stdout, stderr } = await runCli(['preflight', ...args, '--output-dir', repository, '--json']);
  assert.match(stdout, /^\{.*\}\n$/, stderr);
  const report = JSON.parse(stdout) as PreflightReport;
  assert.equal(report.status, toOverallStatus(report.findings));
  assert.equal(status, statuses[report.status], stdout);
  return report;
};

const find = ({ findings }: PreflightReport, check: string) => {
  const finding = findings.find((one) => one.check === check);
  assert.ok(finding !== undefined, `${check} is among ${findings.map((one) => one.check).join(', ')}`);
  return finding;
};

const withRole = async (scene: Scene, options: string, fn: (role: string, uri: string) => Promise<void>): Promise<void> => {
  const role = uniqueDatabaseName('looker');
  await scene.cluster.psql('postgres', `CREATE ROLE ${role} LOGIN ${options}`);
  try {
    await fn(role, `postgresql://${role}@127.0.0.1:${scene.cluster.port}/${scene.database}`);
  } finally {
    await scene.cluster.psql(scene.database, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
};

describe('preflight of a backup', () => {
  test('makes every check, measures, and leaves nothing behind', () =>
    withScene(smallSql, async (scene) => {
      const report = await look(scene, [scene.cluster.uri(scene.database)]);
      const expected = [
        ...[
          'repository',
          'connection',
          'pooler',
          'connections',
          'old_snapshot_threshold',
          'transactions',
          'wraparound',
          'standby',
          'memory',
        ],
        ...['ulimits', 'tools', 'privileges', 'snapshot', 'unsplittable', 'rows', 'size', 'locks', 'disk'],
      ];
      if (scene.cluster.version >= 17) expected.splice(expected.indexOf('old_snapshot_threshold'), 1);
      assert.deepEqual(
        report.findings.map(({ check }) => check),
        expected,
      );
      for (const { status, measured, remedy } of report.findings) {
        assert.notEqual(measured, '');
        assert.equal(remedy === null, status === 'ok', measured);
      }
      assert.match(find(report, 'locks').measured, /^4 locks for 2 relations, the server has room for [\d,]+/);
      assert.match(find(report, 'size').measured, /^about .* raw, .* stored with zstd:1, in 2 relations$/);
      assert.equal(existsSync(scene.repository), false, 'no repository was created');
      assert.equal(await scene.cluster.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE datname = '${scene.database}'`), '0');
    }));

  test('for people: one line a finding, with what to do; --quiet what is not ok alone', () =>
    withScene(smallSql, (scene) =>
      withRole(scene, '', async (role, uri) => {
        const run = (args: readonly string[]) => runCli(['preflight', 'single', uri, '--output-dir', scene.repository, ...args]);
        const { status, stdout } = await run([]);
        assert.equal(status, 1);
        assert.match(stdout, /^ok {4}connection +PostgreSQL /m);
        assert.match(
          stdout,
          new RegExp(`^fail  privileges +role ${role} may not read public.files, public.orders\n +→ Run: GRANT SELECT ON TABLE`, 'm'),
        );
        assert.match(stdout, /^\d+ ok, \d+ warnings?, 1 failure, in /m);
        const brief = await run(['--quiet']);
        assert.doesNotMatch(brief.stdout, /^ok /m);
        assert.match(brief.stdout, /^fail {2}privileges/m);
      }),
    ));

  test('tells what the server lacks: connections, locks, a long transaction’s owner, free numbers', async () => {
    const cluster = await startCluster({
      settings: { max_connections: '12', max_locks_per_transaction: '10', max_prepared_transactions: '2' },
    });
    try {
      await withScene(
        `DO $$ BEGIN FOR i IN 1..90 LOOP EXECUTE 'CREATE TABLE t' || i || ' (id int)'; END LOOP; END $$`,
        async (scene) => {
          await cluster.psql(scene.database, `BEGIN; CREATE TABLE p (); PREPARE TRANSACTION 'forgotten'`);
          const report = await look(scene, [cluster.uri(scene.database), '--jobs', '12']);
          assert.equal(find(report, 'connections').status, 'fail');
          assert.match(find(report, 'connections').remedy ?? '', /^Use --jobs (9|10|11), or raise max_connections/);
          const locks = find(report, 'locks');
          assert.equal(locks.status, 'fail');
          assert.match(locks.measured, /^180 locks for 90 relations, the server has room for 140 /);
          const wanted = Number(/max_locks_per_transaction = (\d+)/.exec(locks.remedy ?? '')?.[1]);
          assert.ok(wanted >= 13 && wanted < 30, locks.remedy ?? '');
          assert.match(find(report, 'transactions').measured, /prepared transaction 'forgotten'/);
          assert.match(find(report, 'wraparound').measured, /^2,147,\d{3},\d{3} transactions are left/);
          await cluster.psql(scene.database, `ROLLBACK PREPARED 'forgotten'`);
          // The backup itself refuses what it can know, before it connects any further.
          const failure = expectFailure(await scene.run(['backup', 'single', cluster.uri(scene.database), '--jobs', '12']), {
            status: 1,
            code: 'preflight_failed',
            message: /connections that this role may open are free, 13 are needed for 12 jobs$/,
          });
          assert.equal(failure.code, 'preflight_failed');
          assert.match(failure.hint, /--jobs \d+.* --no-preflight leaves this check out\.$/);
        },
        { cluster },
      );
    } finally {
      await cluster.stop();
    }
  });

  test('finds tables that cannot be split and rows near the limit', () =>
    withScene(
      `CREATE TABLE large (id int, v bytea);
       ALTER TABLE large ALTER v SET STORAGE EXTERNAL;
       INSERT INTO large SELECT i, convert_to(repeat('x', 3 * 1024 * 1024), 'UTF8') FROM generate_series(1, 3) i;
       SET default_toast_compression = 'lz4';
       ALTER TABLE large ALTER v SET STORAGE EXTENDED;
       INSERT INTO large VALUES (4, convert_to(repeat('a large value.. ', 280 * 65536), 'UTF8'));`,
      async (scene) => {
        const uri = scene.cluster.uri(scene.database);
        const report = await look(scene, [uri, '--format', 'text', '--chunk-size', '1MB']);
        const rows = find(report, 'rows');
        assert.equal(rows.status, 'warn', 'as text, 280 MB are 560 MB');
        assert.match(rows.measured, /public\.large at ctid \(0,4\), about 560 MB as text/);
        assert.match(rows.remedy ?? '', /--format binary/);
        const splitting = find(report, 'unsplittable');
        assert.equal(splitting.status, 'warn');
        assert.match(splitting.measured, /^public\.large \(.*\): read by one connection each, since all rows are in one block/);
        assert.equal(find(await look(scene, [uri]), 'rows').status, 'ok', 'in binary they are half of that');
      },
    ));

  test('of what cannot be reached, and of options that are wrong', () =>
    withScene(smallSql, async (scene) => {
      const report = await look(scene, ['single', scene.cluster.uri('no_such_database')]);
      assert.equal(find(report, 'connection').status, 'fail');
      assert.match(find(report, 'connection').measured, /no_such_database.*does not exist/);
      expectFailure(await scene.run(['preflight', scene.cluster.uri(scene.database), '--chunk-size', '1']), {
        status: 2,
        code: 'usage',
        message: /^--chunk-size /,
      });
      const elsewhere = { repository: scene.cluster.dataDir };
      assert.equal(find(await look(elsewhere, [scene.cluster.uri(scene.database)]), 'repository').status, 'fail');
    }));

  test('of a cluster looks at every database', () =>
    withScene(smallSql, (scene) =>
      withDatabase(scene.cluster, async (other) => {
        const report = await look(scene, ['cluster', scene.cluster.uri('postgres')]);
        const names = new Set(report.findings.flatMap(({ check, database }) => (check === 'snapshot' ? [database] : [])));
        for (const name of [scene.database, other, 'template1']) assert.ok(names.has(name), name);
        assert.equal(find(report, 'passwords').status, 'ok');
        assert.ok(report.estimates.length >= 3);
      }),
    ));
});

describe('preflight of a restore', () => {
  test('tells what the target lacks before anything is created', () =>
    withScene('CREATE EXTENSION pgcrypto', (scene) =>
      withRole(scene, '', async (role) => {
        await scene.cluster.psql(scene.database, `CREATE TABLE owned (id int); ALTER TABLE owned OWNER TO ${role}`);
        const id = await scene.backUp();
        const target = uniqueDatabaseName('target');
        const args = ['restore', id, '--target-db', scene.cluster.uri(target), '--create'];
        const good = await look(scene, args);
        assert.deepEqual(
          good.findings.map(({ check }) => check),
          [
            ...['backup', 'connection', 'pooler', 'standby', 'version', 'tools', 'target', 'encoding', 'collation', 'extensions', 'roles'],
            ...['tablespaces', 'connections', 'locks', 'disk'],
          ],
        );
        assert.equal(good.findings.filter(({ status }) => status === 'fail').length, 0, JSON.stringify(good.findings));
        assert.match(find(good, 'extensions').measured, /^extension "pgcrypto" has version ([\d.]+) in the target and \1 in the backup$/);
        assert.equal(await scene.cluster.psql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${target}'`), '0');
        await scene.cluster.psql(scene.database, `ALTER ROLE ${role} RENAME TO ${role}_gone`);
        const bad = await look(scene, args);
        const bare = await look(scene, [...args, '-O', '-x']);
        await scene.cluster.psql(scene.database, `ALTER ROLE ${role}_gone RENAME TO ${role}`);
        assert.equal(find(bad, 'roles').status, 'fail');
        assert.match(find(bad, 'roles').measured, new RegExp(`lacks role "${role}", which table (public\\.)?owned needs`));
        assert.equal(find(bare, 'roles').status, 'ok');
        const taken = await look(scene, ['restore', id, '--target-db', scene.cluster.uri(scene.database)]);
        assert.match(find(taken, 'target').measured, /is not empty: it holds /);
      }),
    ));

  test('of a database with another locale, of a backup that is damaged, and of none', () =>
    withScene(smallSql, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(
        scene.cluster,
        async (target) => {
          const report = await look(scene, ['restore', id, '--target-db', scene.cluster.uri(target)]);
          assert.equal(find(report, 'encoding').status, 'warn');
          assert.match(find(report, 'encoding').measured, /encoding UTF8 in the backup, LATIN1 in the target/);
        },
        `TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`,
      );
      expectFailure(await scene.run(['preflight', 'restore', 'no-such', '--target-db', 'x']), {
        status: 10,
        code: 'backup_not_found',
        message: /no-such/,
      });
      expectFailure(await scene.run(['preflight', 'restore', id]), { status: 2, code: 'usage', message: /--target-db/ });
    }));
});

test('the quick checks before a backup are told as an Event, and can be left out', () =>
  withScene(smallSql, async (scene) => {
    const run = async (args: readonly string[]) => {
      const stdout = expectSuccess(
        await runCli(['backup', 'single', scene.cluster.uri(scene.database), '--output-dir', scene.repository, '--json', ...args]),
      );
      return stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { readonly type: string }).type);
    };
    assert.deepEqual((await run([])).slice(0, 2), ['preflight.finished', 'backup.started']);
    assert.equal((await run(['--no-preflight']))[0], 'backup.started');
  }));
