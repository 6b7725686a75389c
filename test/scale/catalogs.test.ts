import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Event, verify } from 'dbbackup';
import { runChildOrThrow } from '../support/child.js';
import { runCli } from '../support/cli.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { withDatabase } from '../support/database.js';
import { withoutConnectionEnv } from '../support/login.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';

const maxPlanningMs = 10_000;
/** What any run stays below, and 1 kB for each relation. */
const toMaxRssBytes = (relationCount: number): number => 150 * 1024 ** 2 + relationCount * 1024;

interface Scale {
  readonly title: string;
  readonly sql: string;
  /** Relations the snapshot locks. */
  readonly relationCount: number;
  readonly rowCount: number;
}

const repeated = (count: number, template: string): string =>
  `SELECT format('${template.replaceAll("'", "''")}', n) FROM generate_series(1, ${count}) n \\gexec\n`;

const scales: readonly Scale[] = [
  {
    title: '20 000 tables',
    sql: `${repeated(20_000, 'CREATE TABLE t%1$s (id int DEFAULT %1$s, note text, at timestamptz)')} INSERT INTO t7 VALUES (1, 'x', now());`,
    relationCount: 20_000,
    rowCount: 1,
  },
  {
    title: '2 000 partitions of one table',
    sql: `CREATE TABLE tree (id int, note text) PARTITION BY LIST (id);
${repeated(2000, 'CREATE TABLE tree_%1$s PARTITION OF tree FOR VALUES IN (%1$s)')} INSERT INTO tree SELECT n, 'row ' || n FROM generate_series(1, 2000) n;`,
    relationCount: 2001,
    rowCount: 2000,
  },
  {
    title: 'a table of 1 600 columns',
    sql: `SELECT 'CREATE TABLE wide (' || string_agg(format('"column %s" %s', n, (ARRAY['int', 'bool', 'date', 'text'])[n % 4 + 1]), ', ') || ')' FROM generate_series(1, 1600) n \\gexec
INSERT INTO wide ("column 4", "column 1600") SELECT n, n FROM generate_series(1, 5000) n;`,
    relationCount: 1,
    rowCount: 5000,
  },
];

const parseEvents = (output: string): readonly Event[] =>
  output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Event);

const findEvent = <Type extends Event['type']>(events: readonly Event[], type: Type): Extract<Event, { type: Type }> => {
  const event = events.find((candidate): candidate is Extract<Event, { type: Type }> => candidate.type === type);
  assert.ok(event !== undefined, `an event ${type}`);
  return event;
};

describe('catalogs of size', () => {
  let cluster: Cluster;
  before(async () => {
    // Room for the locks of leader, pg_dump and workers on 20 000 tables.
    cluster = await startCluster({ settings: { max_locks_per_transaction: '1024', shared_buffers: '256MB' } });
  });
  after(() => cluster.stop());

  for (const { title, sql, relationCount, rowCount } of scales) {
    it(`${title} are planned within 10 s and 150 MB and 1 kB each, and saved whole`, async (context) => {
      await withDatabase(cluster, (database) =>
        withTemporaryDirectory(async (outputDir) => {
          await cluster.psql(database, sql);
          const env = { ...withoutConnectionEnv(process.env), ...cluster.env(database) };
          const startedMs = performance.now();
          await runChildOrThrow(join(cluster.binDir, 'pg_dump'), ['--schema-only', '--file=/dev/null', database], { env });
          const pgDumpMs = performance.now() - startedMs;

          const outcome = await runCli(['backup', 'single', cluster.uri(database), '--output-dir', outputDir, '--json']);
          assert.equal(outcome.status, 0, outcome.stderr);
          const events = parseEvents(outcome.stdout);
          const snapshot = findEvent(events, 'snapshot.taken');
          const finished = findEvent(events, 'backup.finished');
          // The schema is pg_dump's work: locks, introspection, then the plan are dbbackup's own.
          const introspectionMs = snapshot.atMs - findEvent(events, 'backup.started').atMs;
          const planMs = findEvent(events, 'plan.ready').atMs - findEvent(events, 'schema.dumped').atMs;
          assert.equal(snapshot.relationCount, relationCount);
          assert.equal(finished.rowCount, rowCount);
          context.diagnostic(
            `${title}: locks and introspection ${introspectionMs} ms, plan ${planMs} ms, pg_dump -s ${Math.round(pgDumpMs)} ms, ` +
              `the whole backup ${finished.elapsedMs} ms, peak memory ${Math.round(finished.peakRssBytes / 1024 ** 2)} MB`,
          );
          assert.ok(introspectionMs + planMs < maxPlanningMs);
          assert.ok(finished.peakRssBytes < toMaxRssBytes(relationCount), `${finished.peakRssBytes} bytes of memory`);
          assert.deepEqual((await verify({ id: finished.id, outputDir })).damage, []);
        }),
      );
    });
  }
});
