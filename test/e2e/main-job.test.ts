import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type BackupOptions, backup, type Event, list, restore, show, verify } from 'dbbackup';
import { compareDatabases, formatDifference } from '../../bench/equality.js';
import { runChild, runChildOrThrow } from '../support/child.js';
import type { Cluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { sharedCluster } from '../support/shared-cluster.js';
import { fillCorpus } from './corpus.js';

type Variant = Pick<BackupOptions, 'compression' | 'format' | 'checksum' | 'chunkSizeBytes' | 'jobs'>;

const mebibyte = 1024 ** 2;

/** Small chunks make ranges, parts and packed files out of a small database. */
const variants: Readonly<Record<string, Variant>> = {
  'the defaults': {},
  'lz4, binary, small chunks': { compression: { codec: 'lz4', level: 0 }, format: 'binary', chunkSizeBytes: mebibyte, jobs: 3 },
  'gzip, text, sha256': { compression: { codec: 'gzip', level: 1 }, format: 'text', checksum: 'sha256', jobs: 2 },
  'no compression, small chunks': { compression: { codec: 'none', level: 0 }, chunkSizeBytes: mebibyte, jobs: 1 },
  'zstd 6, text, small chunks': { compression: { codec: 'zstd', level: 6 }, format: 'text', chunkSizeBytes: 2 * mebibyte },
};

describe('a database is backed up, verified and restored', () => {
  let cluster: Cluster;
  let outputDir: string;
  const source = uniqueDatabaseName('source');

  before(async () => {
    cluster = await sharedCluster();
    outputDir = await mkdtemp(join(tmpdir(), 'dbbackup-e2e-'));
    await cluster.createDatabase(source);
    await fillCorpus(cluster, source);
  });

  after(async () => {
    await cluster.dropDatabase(source);
    await rm(outputDir, { recursive: true, force: true });
  });

  const connectionTo = (database: string) => ({ database: cluster.uri(database) });

  const assertEqual = async (target: string): Promise<void> => {
    assert.deepEqual((await compareDatabases(cluster, source, target)).map(formatDifference), []);
  };

  for (const [name, variant] of Object.entries(variants)) {
    test(`with ${name}`, async () => {
      const events: Event[] = [];
      const report = await backup({ connection: connectionTo(source), outputDir, ...variant }, { onEvent: (event) => events.push(event) });
      assert.deepEqual(report.warnings, []);
      assert.equal(events.at(-1)?.type, 'backup.finished');
      assert.ok(
        events.some((event) => event.type === 'progress' && event.rawBytes === report.rawBytes),
        'the last progress tells all bytes',
      );

      const { damage, rawBytes, rowCount } = await verify({ id: report.id, outputDir });
      assert.deepEqual(damage, []);
      assert.deepEqual({ rawBytes, rowCount }, { rawBytes: report.rawBytes, rowCount: report.rowCount });

      const target = uniqueDatabaseName('target');
      try {
        const restored = await restore({
          id: report.id,
          outputDir,
          connection: connectionTo(target),
          isCreating: true,
          isChecking: true,
          ...(variant.jobs === undefined ? {} : { jobs: variant.jobs }),
        });
        assert.equal(restored.rowCount, report.rowCount);
        await assertEqual(target);
      } finally {
        await cluster.dropDatabase(target);
      }
    });
  }

  test('by restore.sh alone, where neither Node nor dbbackup can be found', async () => {
    const tools = join(outputDir, 'tools');
    const link = 'mkdir "$1" && ln -sf /bin/* /usr/bin/* "$2"/* "$1"/ && rm -f "$1"/node* "$1"/npm "$1"/npx "$1"/dbbackup';
    await runChildOrThrow('bash', ['-c', link, 'bash', tools, cluster.binDir]);
    for (const { id } of (await list({ outputDir })).backups) {
      const target = uniqueDatabaseName('stock');
      await cluster.createDatabase(target, 'TEMPLATE template0');
      try {
        const outcome = await runChild(join(outputDir, id, 'restore.sh'), ['-d', target, '-j', '2'], {
          env: { ...cluster.env(target), PATH: tools },
        });
        assert.equal(outcome.status, 0, `${outcome.stdout}${outcome.stderr}`);
        await assertEqual(target);
      } finally {
        await cluster.dropDatabase(target);
      }
    }
  });

  test('the manifest says how each table was read, and why', async () => {
    const [first] = (await list({ outputDir })).backups;
    const { manifest } = await show({ id: first?.id ?? '', outputDir });
    const relations = new Map(manifest.databases[0]?.relations.map((relation) => [relation.name, relation]));
    assert.equal(relations.get('documents')?.format, 'binary');
    assert.equal(relations.get('edges')?.format, 'text');
    assert.match(relations.get('edges')?.formatReason ?? '', /which binary COPY cannot carry safely/);
    assert.equal(relations.get('no_columns')?.rowCount, 3);
    assert.equal(relations.get('tree_high')?.partitionRootOid, relations.get('tree')?.oid);
    assert.equal(relations.get('empty_table')?.segments.length, 1);
  });
});
