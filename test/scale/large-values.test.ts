import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Event, list, show, verify } from 'dbbackup';
import { runChild } from '../support/child.js';
import { runCli } from '../support/cli.js';
import { type Cluster, withCluster } from '../support/cluster.js';
import { withDatabase } from '../support/database.js';
import { withoutConnectionEnv } from '../support/login.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';

const maxRssBytes = 150 * 1024 ** 2;
/** A value may have 2^30 - 1 bytes in the server's memory; compressing it by lz4, which keeps it small on disk, needs room for its 255th part more. */
const largestBytes = 1_065_000_000;

interface LargeValue {
  readonly title: string;
  readonly type: string;
  /** An expression of the type. */
  readonly value: string;
  readonly format: 'binary' | 'text';
  /** The least that COPY makes of it. */
  readonly rawBytes: number;
}

const values: readonly LargeValue[] = [
  {
    title: 'bytea of 1 GB, whose text would be twice as long as COPY can send',
    type: 'bytea',
    value: `convert_to(repeat('\\', ${largestBytes}), 'SQL_ASCII')`,
    format: 'binary',
    rawBytes: largestBytes,
  },
  { title: 'text of 1 GB', type: 'text', value: `repeat('x', ${largestBytes})`, format: 'text', rawBytes: largestBytes },
  {
    title: 'json of 1 GB',
    type: 'json',
    value: `('"' || repeat('y', ${largestBytes - 2}) || '"')::json`,
    format: 'text',
    rawBytes: largestBytes,
  },
  {
    // A jsonb has 28 bits for the length of what it holds; its text escapes, and so does COPY's.
    title: 'jsonb of 256 MB, of which COPY makes 800 MB',
    type: 'jsonb',
    value: `to_jsonb(repeat('"', ${2 ** 28 - 1000}))`,
    format: 'text',
    rawBytes: 3 * (2 ** 28 - 1000),
  },
];

const readDigest = (cluster: Cluster, database: string, type: string): Promise<string> =>
  cluster.psql(database, `SELECT id, md5(${type === 'bytea' ? 'v' : 'v::text'}) FROM large ORDER BY id`);

const findPeak = (output: string, type: 'backup.finished' | 'restore.finished'): Event & { readonly peakRssBytes: number } => {
  const events = output.split('\n').filter((line) => line !== '');
  const found = events.map((line) => JSON.parse(line) as Event).find((event) => event.type === type);
  assert.ok(found !== undefined && 'peakRssBytes' in found, type);
  return found;
};

describe('values as large as the server can hold', () => {
  // One after the other and by one job: the server takes some GB for each.
  for (const { title, type, value, format, rawBytes } of values) {
    it(`${title}: backup, verify, restore and restore.sh in 150 MB`, (context) =>
      withCluster((cluster) =>
        withTemporaryDirectory((outputDir) =>
          withDatabase(cluster, async (database) => {
            await cluster.psql(
              database,
              `SET default_toast_compression = 'lz4'; CREATE TABLE large (id int PRIMARY KEY, v ${type}); INSERT INTO large VALUES (1, ${value}), (2, NULL);`,
            );
            const expected = await readDigest(cluster, database, type);
            const run = async (event: 'backup.finished' | 'restore.finished', args: readonly string[]): Promise<number> => {
              const { status, stdout, stderr } = await runCli([...args, '--output-dir', outputDir, '--jobs', '1', '--json']);
              assert.equal(status, 0, stderr);
              const { peakRssBytes } = findPeak(stdout, event);
              assert.ok(peakRssBytes < maxRssBytes, `${peakRssBytes} bytes of memory`);
              return peakRssBytes;
            };
            const backupPeak = await run('backup.finished', ['backup', 'single', cluster.uri(database)]);
            const id = (await list({ outputDir })).backups[0]?.id ?? '';
            const { manifest } = await show({ id, outputDir });
            const relation = manifest.databases[0]?.relations[0];
            assert.equal(relation?.format, format);
            assert.ok((relation?.rawBytes ?? 0) >= rawBytes, `${relation?.rawBytes} bytes`);
            assert.deepEqual((await verify({ id, outputDir, jobs: 1 })).damage, []);
            await withDatabase(cluster, async (target) => {
              const restorePeak = await run('restore.finished', ['restore', 'single', id, '--target-db', cluster.uri(target), '--check']);
              assert.equal(await readDigest(cluster, target, type), expected);
              const toMegabytes = (bytes: number): number => Math.round(bytes / 1024 ** 2);
              context.diagnostic(`${type}: peak memory of backup ${toMegabytes(backupPeak)} MB, of restore ${toMegabytes(restorePeak)} MB`);
            });
            await withDatabase(cluster, async (target) => {
              const env = { ...withoutConnectionEnv(process.env), ...cluster.env(target) };
              const { status, stderr } = await runChild(join(outputDir, id, 'restore.sh'), ['-d', target, '-j', '1'], { env });
              assert.equal(status, 0, stderr);
              assert.equal(await readDigest(cluster, target, type), expected);
            });
          }),
        ),
      ));
  }
});
