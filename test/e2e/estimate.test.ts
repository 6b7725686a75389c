import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EstimateReport } from '#src/commands/estimate.js';
import { expectFailure, expectSuccess } from '../faults/support/failure.js';
import { type Scene, withScene } from '../faults/support/scene.js';
import { runCli } from '../support/cli.js';
import { uniqueDatabaseName } from '../support/database.js';

/** 60 MB in rows of one kind, 20 MB in large values of which few stand in a block, an empty table, large objects. */
const sql = `
CREATE TABLE plain AS SELECT i AS id, md5(i::text) || repeat('x', (i % 7) * 20) AS note FROM generate_series(1, 400000) i;
CREATE TABLE large (id int, v bytea);
ALTER TABLE large ALTER v SET STORAGE EXTERNAL;
INSERT INTO large SELECT i, decode(repeat(md5(i::text), 4096), 'hex') FROM generate_series(1, 300) i;
CREATE TABLE nothing (id int);
SELECT lo_from_bytea(0, convert_to(repeat(md5(i::text), 4096), 'UTF8')) FROM generate_series(1, 40) i;
ANALYZE;`;

const estimateOf = async ({ cluster, database }: Scene, options: readonly string[] = []): Promise<EstimateReport> =>
  JSON.parse(expectSuccess(await runCli(['estimate', cluster.uri(database), '--json', ...options]))) as EstimateReport;

describe('estimate', () => {
  test('comes near what a backup then reads and stores, table by table', () =>
    withScene(sql, async (scene) => {
      const report = await estimateOf(scene);
      const stdout = expectSuccess(
        await runCli(['backup', 'single', scene.cluster.uri(scene.database), '--output-dir', scene.repository, '--json']),
      );
      const { id } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { readonly id: string };
      const shown = expectSuccess(await runCli(['show', id, '--output-dir', scene.repository, '--json']));
      const manifest = JSON.parse(shown) as {
        readonly totals: { readonly rawBytes: number; readonly storedBytes: number };
        readonly databases: readonly {
          readonly relations: readonly { readonly name: string; readonly rawBytes: number; readonly storedBytes: number }[];
        }[];
      };
      const isNear = (estimated: number, truth: number, what: string): void =>
        assert.ok(Math.abs(estimated - truth) <= truth * 0.1 + 4096, `${what}: ${estimated} was estimated, ${truth} is true`);
      for (const { name, rawBytes, storedBytes } of manifest.databases[0]?.relations ?? []) {
        const estimated = report.relations.find((relation) => relation.name === name);
        assert.ok(estimated !== undefined);
        isNear(estimated.rawBytes.value, rawBytes, `raw bytes of ${name}`);
        isNear(estimated.storedBytes.value, storedBytes, `stored bytes of ${name}`);
      }
      isNear(report.rawBytes.value, manifest.totals.rawBytes, 'all raw bytes');
      isNear(report.storedBytes.value, manifest.totals.storedBytes, 'all stored bytes');
      assert.ok(report.sampledBytes < manifest.totals.rawBytes / 2, 'a part was read');
      assert.deepEqual(
        report.relations.map(({ name, basis }) => [name, basis]),
        [
          ['plain', 'samples'],
          ['large', 'samples'],
          ['nothing', 'size'],
        ],
      );
      assert.ok(report.rawBytes.error > 0 && report.elapsedMs.value > 0);
      assert.equal(await scene.cluster.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE datname = '${scene.database}'`), '0');
    }));

  test('knows what compression and selection do', () =>
    withScene(sql, async (scene) => {
      const none = await estimateOf(scene, ['--compression', 'none', '-t', 'plain']);
      assert.deepEqual(
        none.relations.map(({ name }) => name),
        ['plain'],
      );
      assert.equal(none.largeObjects, null);
      assert.ok(none.storedBytes.value >= none.rawBytes.value);
      const text = expectSuccess(await runCli(['estimate', scene.cluster.uri(scene.database), '-t', 'plain']));
      assert.match(text, /^public\.plain +\S+ MB +\d+ % +\S+ MB +\d+ % +.* samples$/m);
    }));

  test('tells a role what it may not read', () =>
    withScene(sql, async (scene) => {
      const role = uniqueDatabaseName('reader');
      await scene.cluster.psql('postgres', `CREATE ROLE ${role} LOGIN`);
      try {
        const uri = `postgresql://${role}@127.0.0.1:${scene.cluster.port}/${scene.database}`;
        expectFailure(await runCli(['estimate', uri]), { status: 1, code: 'permission_denied', message: /may not read public\.large/ });
      } finally {
        await scene.cluster.psql('postgres', `DROP ROLE ${role}`);
      }
    }));
});

test('--max-rate holds a backup back, all its jobs together', () =>
  withScene(sql, async (scene) => {
    const begin = performance.now();
    const options = ['-t', 'plain', '--max-rate', '10MB', '--chunk-size', '1MB'];
    const stdout = expectSuccess(
      await runCli(['backup', 'single', scene.cluster.uri(scene.database), '--output-dir', scene.repository, '--json', ...options]),
    );
    const elapsedSeconds = (performance.now() - begin) / 1000;
    const finished = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { readonly rawBytes: number };
    const rawMegabytes = finished.rawBytes / 1024 ** 2;
    assert.ok(rawMegabytes > 25, `${rawMegabytes} MB`);
    assert.ok(elapsedSeconds > rawMegabytes / 10 - 1, `${rawMegabytes} MB in ${elapsedSeconds} s`);
  }));
