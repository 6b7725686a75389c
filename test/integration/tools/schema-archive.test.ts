import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { withSnapshot } from '#src/catalog/leader.js';
import { createLocalLeader } from '#src/catalog/snapshot.js';
import { DbbackupError } from '#src/core/errors.js';
import { processHost } from '#src/native/host.js';
import { groupPostData } from '#src/tools/archive-list.js';
import { type DumpOptions, dumpSchema } from '#src/tools/dump-schema.js';
import { chooseTool, findCompanion, findTools } from '#src/tools/find-tools.js';
import { listArchive, type RestoreArchiveOptions, restoreEntries, restorePostData, restorePreData } from '#src/tools/restore-archive.js';
import { toToolConnection } from '#src/tools/tool.js';
import { runChildOrThrow } from '../../support/child.js';
import type { Cluster } from '../../support/cluster.js';
import { withDatabase } from '../../support/database.js';
import { type Login, scramLogin, withoutConnectionEnv } from '../../support/login.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';
import { createSample } from '../catalog/sample.js';
import { connectionTo, withSession } from '../native/connections.js';

const host = processHost;

/** Dumps a database and restores it into another, both of the shared cluster. */
interface Scene {
  readonly cluster: Cluster;
  readonly source: string;
  readonly target: string;
  readonly directory: string;
}

const withScene = async (sql: string | null, run: (scene: Scene) => Promise<void>): Promise<void> => {
  const cluster = await sharedCluster();
  await withDatabase(cluster, (source) =>
    withDatabase(cluster, (target) =>
      withTemporaryDirectory(async (directory) => {
        if (sql === null) await createSample(cluster, source);
        else await cluster.psql(source, sql);
        await run({ cluster, source, target, directory });
      }),
    ),
  );
};

const dumpWith = async (scene: Scene, dump: (options: DumpOptions) => Promise<readonly string[]>, login?: Login): Promise<string> => {
  const { cluster, source, directory } = scene;
  const pgDump = chooseTool(
    await findTools({ names: ['pg_dump', 'pg_restore', 'psql'], host, binDir: cluster.binDir }),
    'pg_dump',
    cluster.version,
  );
  const outPath = join(directory, 'archive.dump');
  await withSession(connectionTo(cluster, source, login), (session) =>
    withSnapshot(createLocalLeader(session), {}, async ({ snapshot }) => {
      assert.deepEqual(await dump({ host, pgDump, connection: toToolConnection(session), snapshot, outPath }), []);
    }),
  );
  return outPath;
};

const withTarget = async (
  scene: Scene,
  archivePath: string,
  targetMajor: number,
  run: (options: RestoreArchiveOptions) => Promise<void>,
): Promise<void> => {
  const { cluster, target } = scene;
  const tools = await findTools({ names: ['pg_dump', 'pg_restore', 'psql'], host, binDir: cluster.binDir });
  const pgRestore = chooseTool(tools, 'pg_restore', cluster.version);
  await withSession(connectionTo(cluster, target), (session) =>
    run({
      host,
      pgRestore,
      psql: findCompanion(tools, pgRestore, 'psql'),
      connection: toToolConnection(session),
      targetMajor,
      archivePath,
    }),
  );
};

/** The database's definitions as pg_dump tells them, without what differs at every run. */
const describeSchema = async (cluster: Cluster, database: string): Promise<string> => {
  const env = { ...withoutConnectionEnv(process.env), ...cluster.env(database) };
  const text = await runChildOrThrow(join(cluster.binDir, 'pg_dump'), ['--schema-only'], { env });
  return text.replace(/^\\(un)?restrict .*$/gm, '');
};

const indexedSql = `
CREATE TABLE large (id int PRIMARY KEY, v text CONSTRAINT "odd; name" UNIQUE, w int);
CREATE INDEX "two
lines" ON large (w);
CREATE INDEX ON large (lower(v));
CREATE TABLE small (id int REFERENCES large, c int CHECK (c > 0), EXCLUDE USING btree (c WITH =));
CREATE TABLE tree (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES FROM (0) TO (10);
CREATE INDEX ON tree (v);
CREATE STATISTICS stats ON id, w FROM large;
COMMENT ON INDEX "two
lines" IS 'kept';`;

describe('a schema archive', () => {
  for (const way of ['pg_restore', 'psql']) {
    it(`restores a database with one of everything by ${way}`, async () => {
      await withScene(null, async (scene) => {
        const archive = await dumpWith(scene, dumpSchema);
        // A pg_restore newer than the target takes the way through psql.
        await withTarget(scene, archive, way === 'psql' ? scene.cluster.version - 1 : scene.cluster.version, async (options) => {
          const entries = await listArchive(options);
          assert.deepEqual(await restorePreData(options), []);
          assert.deepEqual(await restorePostData(options, { rest: entries, jobs: 2, listPath: join(scene.directory, 'list') }), []);
        });
        // pg_dump omits what belongs to an extension; only the sample's own tampering with citext is lost.
        const untampered = (text: string): string => text.replace(/^.*\bext\b.*$/gm, '').replace(/\n+/g, '\n');
        assert.equal(
          untampered(await describeSchema(scene.cluster, scene.target)),
          untampered(await describeSchema(scene.cluster, scene.source)),
        );
      });
    });

    it(`restores indexes and constraints of single relations before the rest, by ${way}`, async () => {
      await withScene(indexedSql, async (scene) => {
        const { cluster, source, target, directory } = scene;
        const archive = await dumpWith(scene, dumpSchema);
        const oids = (await cluster.psql(source, "SELECT oid FROM pg_class WHERE relname IN ('large', 'tree_1') ORDER BY relname"))
          .split('\n')
          .map(Number);
        await withTarget(scene, archive, way === 'psql' ? cluster.version - 1 : cluster.version, async (options) => {
          const { byRelation, rest } = groupPostData(await listArchive(options), oids);
          await restorePreData(options);
          const countIndexes = (): Promise<string> =>
            cluster.psql(
              target,
              "SELECT string_agg(indrelid::regclass || ' ' || n, ', ' ORDER BY 1) FROM (SELECT indrelid, count(*) n FROM pg_index WHERE indrelid >= 16384 GROUP BY 1) x WHERE indrelid::regclass::text NOT LIKE 'pg_%'",
            );
          assert.equal(await countIndexes(), '');
          for (const [oid, entries] of byRelation) {
            await restoreEntries(options, { entries, jobs: 2, what: `indexes of ${oid}`, listPath: join(directory, `list-${oid}`) });
          }
          assert.equal(await countIndexes(), 'large 4, tree_1 2');
          await restorePostData(options, { rest, jobs: 2, listPath: join(directory, 'rest') });
        });
        assert.equal(await describeSchema(cluster, target), await describeSchema(cluster, source));
      });
    });
  }

  it('is written for a role that needs a password', async () => {
    await withScene('CREATE TABLE t (id int)', async (scene) => {
      await withTarget(scene, await dumpWith(scene, dumpSchema, scramLogin), scene.cluster.version, async (options) => {
        assert.equal((await listArchive(options)).filter(({ type }) => type === 'TABLE').length, 1);
      });
    });
  });

  it('stops at the first error, and tells it', async () => {
    await withScene('CREATE TABLE t (id int)', async (scene) => {
      await scene.cluster.psql(scene.target, 'CREATE TABLE t (id int)');
      const archive = await dumpWith(scene, dumpSchema);
      for (const major of [scene.cluster.version, scene.cluster.version - 1]) {
        await withTarget(scene, archive, major, (options) =>
          assert.rejects(
            restorePreData(options),
            (error) =>
              error instanceof DbbackupError && error.code === 'tool_failed' && error.message.includes('relation "t" already exists'),
          ),
        );
      }
    });
  });

  it('is not waited for behind a DDL statement that waits itself, and a run that waits can be cancelled', async () => {
    await withScene('CREATE TABLE t (id int)', async (scene) => {
      const { cluster, source } = scene;
      await withSession(connectionTo(cluster, source), async (other) => {
        const waiting: Promise<unknown>[] = [];
        const behind = (more: Partial<DumpOptions>) => async (options: DumpOptions) => {
          waiting.push(other.query('TRUNCATE t'));
          while ((await cluster.psql(source, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass")) === '0');
          return dumpSchema({ ...options, ...more });
        };
        const fails = (code: string, more: Partial<DumpOptions>) =>
          assert.rejects(dumpWith(scene, behind(more)), (error) => error instanceof DbbackupError && error.code === code, code);
        await fails('lock_not_available', { lockTimeoutMs: 200 });
        await Promise.all(waiting);
        const beginning = Date.now();
        await fails('cancelled', { signal: AbortSignal.timeout(500) });
        assert.ok(Date.now() - beginning < 3500);
        await Promise.all(waiting);
      });
    });
  });
});
