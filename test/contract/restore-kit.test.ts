import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { ChecksumName, CodecName } from '#src/core/results.js';
import type { Manifest } from '#src/manifest/schema.js';
import { type ChildOutcome, runChild } from '../support/child.js';
import { type Cluster, quoteIdentifier } from '../support/cluster.js';
import { withDatabase } from '../support/database.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { withoutConnectionEnv } from '../support/login.js';
import { sharedCluster } from '../support/shared-cluster.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { type HandMadeOptions, makeBackup } from './hand-made-backup.js';
import { moveBehindLink } from './links.js';

const hostileTables = [
  '"; $(touch x)',
  'new\nline',
  "it's \\! touch x",
  ':"a" :\'b\' :c',
  '%s %n `touch x` ../../x',
  '-- \\.',
  'naïve 😀',
  '\t',
  '$$;DROP TABLE t;',
];

const sampleSql = `
CREATE SCHEMA "s p a c e;";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
${hostileTables
  .map(
    (
      name,
      index,
    ) => `CREATE TABLE ${index % 2 === 0 ? 'public' : '"s p a c e;"'}.${quoteIdentifier(name)} (id int PRIMARY KEY, ${quoteIdentifier(`a:b ${name}`)} text, "a\\q" bytea);
INSERT INTO ${index % 2 === 0 ? 'public' : '"s p a c e;"'}.${quoteIdentifier(name)} SELECT i, CASE i % 3 WHEN 0 THEN '\\.' WHEN 1 THEN E'tab\\t, line\\n, \\\\N' END, decode(md5(i::text), 'hex') FROM generate_series(1, 20) i;`,
  )
  .join('\n')}
CREATE TABLE big (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v double precision, t timestamptz, twice double precision GENERATED ALWAYS AS (v * 2) STORED, filler text);
INSERT INTO big (v, t, filler) SELECT i / 7.0, '2026-01-01'::timestamptz + i * interval '1 second', repeat('x', i % 50) FROM generate_series(1, 30000) i;
CREATE TABLE child (id int PRIMARY KEY REFERENCES big (id), m mood, span interval);
INSERT INTO child SELECT i, (enum_range(null::mood))[1 + i % 3], -i * interval '1 hour' FROM generate_series(1, 100) i;
CREATE TABLE nothing (a int, b text);
CREATE TABLE nothing_either (a int, b text);
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 3);
CREATE TABLE measure (at date NOT NULL, v int) PARTITION BY RANGE (at);
CREATE TABLE measure_1 PARTITION OF measure FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE measure_2 PARTITION OF measure FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO measure SELECT '2026-01-01'::date + i % 59, i FROM generate_series(1, 200) i;
CREATE INDEX ON measure (v);
CREATE SEQUENCE "odd ""seq' \\";
SELECT setval('"odd ""seq'' \\"', 4711);
CREATE SEQUENCE fresh START 7;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT count(*)::int * $1 FROM child';
CREATE MATERIALIZED VIEW first_view AS SELECT id, m FROM child WHERE m = 'ok';
CREATE MATERIALIZED VIEW "second; view" AS SELECT count(*) AS n, twice(2) AS t FROM first_view;
CREATE UNIQUE INDEX ON first_view (id);
SELECT lo_from_bytea(4000000 + i, decode(repeat(md5(i::text), 200), 'hex')) FROM generate_series(1, 5) i;
`;

const isBinary: HandMadeOptions['formatOf'] = (table) =>
  /big|nothing$|measure_1|no_columns|naïve|line|touch/.test(table) ? 'binary' : 'text';

const stockTools = ['bash', 'env', 'cat', 'dd', 'mktemp', 'rm', 'sha256sum', 'wc', 'zstd', 'lz4', 'gzip'];

const hasXxhsum = spawnSync('xxhsum', ['--version']).error === undefined;

/** A directory that holds links to the tools the kit may use, and nothing else: no Node, no dbbackup. */
const makeToolPath = async (cluster: Cluster, directory: string, tools: readonly string[]): Promise<string> => {
  const path = join(directory, `tools-${tools.length}`);
  await mkdir(path, { recursive: true });
  for (const tool of tools) {
    const found = (await runChild('/bin/sh', ['-c', `command -v ${tool}`])).stdout.trim();
    assert.notEqual(found, '', `${tool} is installed`);
    await symlink(found, join(path, tool));
  }
  for (const tool of ['psql', 'pg_restore']) await symlink(join(cluster.binDir, tool), join(path, tool));
  return path;
};

describe('restore.sh', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await sharedCluster();
  });

  interface Scene {
    readonly source: string;
    readonly target: string;
    readonly directory: string;
    readonly manifest: Manifest;
    /** Runs the kit against the target with nothing but stock tools in PATH. */
    run(args?: readonly string[], tools?: readonly string[]): Promise<ChildOutcome>;
  }

  /** A source database, a backup of it, and an empty target. */
  const withScene = async (
    options: {
      readonly sql?: string;
      readonly databaseOptions?: string;
      readonly targetOptions?: string;
      readonly codec?: CodecName;
      readonly checksum?: ChecksumName;
      readonly formatOf?: HandMadeOptions['formatOf'];
      readonly hasLargeObjects?: boolean;
    },
    fn: (scene: Scene) => Promise<void>,
  ): Promise<void> =>
    withTemporaryDirectory((base) =>
      withDatabase(
        cluster,
        (source) =>
          withDatabase(
            cluster,
            async (target) => {
              await cluster.psql(
                source,
                options.sql ??
                  'CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 5000) i; CREATE TABLE u AS SELECT * FROM t',
              );
              const repository = join(base, 'a repository $(touch x)');
              const { codec = 'zstd', checksum = 'sha256', formatOf = () => 'text', hasLargeObjects = false } = options;
              const manifest = await makeBackup(cluster, source, { repository, id: 'b-1', codec, checksum, formatOf, hasLargeObjects });
              const directory = join(repository, 'b-1');
              const run: Scene['run'] = async (args = ['-d', target], tools = stockTools) => {
                const path = await makeToolPath(cluster, await makeUniqueDirectory(base), tools);
                return runChild(join(directory, 'restore.sh'), args, {
                  env: { ...withoutConnectionEnv(process.env), ...cluster.env('postgres'), PATH: path },
                  cwd: base,
                });
              };
              await fn({ source, target, directory, manifest, run });
              await assert.rejects(stat(join(base, 'x')), 'nothing in a name was executed');
              await assert.rejects(stat(join(directory, 'x')), 'nothing in a name was executed');
            },
            options.targetOptions ?? options.databaseOptions,
          ),
        options.databaseOptions,
      ),
    );

  const schemaOf = async (database: string): Promise<string> => {
    const { stdout } = await runChild(join(cluster.binDir, 'pg_dump'), ['-s', '-d', database], {
      env: { ...withoutConnectionEnv(process.env), ...cluster.env(database) },
    });
    return stdout.replaceAll(/^\\(un)?restrict .*$/gm, '');
  };

  const assertEqualDatabases = async (source: string, target: string): Promise<void> => {
    assert.deepEqual(await tableFingerprints(cluster, target), await tableFingerprints(cluster, source));
    assert.equal(await schemaOf(target), await schemaOf(source));
    for (const sql of [
      'SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2',
      "SELECT loid, md5(string_agg(data, '' ORDER BY pageno)) FROM pg_largeobject GROUP BY 1 ORDER BY 1",
    ]) {
      assert.equal(await cluster.psql(target, sql), await cluster.psql(source, sql));
    }
  };

  const assertUntouched = async (target: string): Promise<void> => {
    assert.equal(
      await cluster.psql(
        target,
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
      ),
      '0',
    );
  };

  it('restores hostile names, both formats, empty tables, partitions, sequences, views and large objects with stock tools alone', async () => {
    await withScene({ sql: sampleSql, formatOf: isBinary, hasLargeObjects: true }, async ({ source, target, run }) => {
      const outcome = await run(['-d', target, '-j', '4']);
      assert.equal(outcome.status, 0, outcome.stderr);
      assert.equal(outcome.stderr, '');
      await assertEqualDatabases(source, target);
      assert.notEqual(await cluster.psql(target, "SELECT reltuples FROM pg_class WHERE relname = 'big'"), '-1');
    });
  });

  for (const codec of ['lz4', 'gzip', 'none'] as const) {
    it(`restores ${codec} data files in both formats`, async () => {
      await withScene({ sql: sampleSql, codec, checksum: 'xxh3-128', formatOf: isBinary }, async ({ source, target, run }) => {
        const outcome = await run(['-d', `dbname='${target}'`]);
        assert.equal(outcome.status, 0, outcome.stderr);
        assert.match(outcome.stderr, /xxhsum is not installed/);
        assert.deepEqual(await tableFingerprints(cluster, target), await tableFingerprints(cluster, source));
      });
    });
  }

  const latin1 = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
  const latin1Sql =
    'CREATE TABLE "naïve" ("é" text, n int); INSERT INTO "naïve" SELECT \'señor \' || i, i FROM generate_series(1, 100) i; CREATE TABLE plain AS SELECT * FROM "naïve"';
  for (const [title, targetOptions] of [
    ['itself', latin1],
    ['UTF8', ''],
  ] as const) {
    it(`restores a LATIN1 database into ${title}, in both formats`, async () => {
      await withScene(
        { sql: latin1Sql, databaseOptions: latin1, targetOptions, formatOf: (table) => (table === 'plain' ? 'text' : 'binary') },
        async ({ source, target, run }) => {
          const outcome = await run();
          assert.equal(outcome.status, 0, outcome.stderr);
          for (const rows of ['SELECT * FROM "naïve" ORDER BY n', 'SELECT * FROM plain ORDER BY n']) {
            assert.equal(await cluster.psql(target, rows), await cluster.psql(source, rows));
          }
        },
      );
    });
  }

  it('restores a SQL_ASCII database whose values are in no encoding', async () => {
    const sql =
      'CREATE TABLE "naïve """ (a text); INSERT INTO "naïve """ VALUES (E\'\\xff\\xe9\'), (\'é\'); CREATE TABLE plain AS SELECT * FROM "naïve """';
    await withScene(
      {
        sql,
        databaseOptions: "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        formatOf: (table) => (table === 'plain' ? 'text' : 'binary'),
      },
      async ({ source, target, run }) => {
        const outcome = await run();
        assert.equal(outcome.status, 0, outcome.stderr);
        const rows = "SELECT md5(string_agg(encode(convert_to(a, 'SQL_ASCII'), 'hex'), ',')) FROM plain";
        assert.equal(await cluster.psql(target, rows), await cluster.psql(source, rows));
      },
    );
  });

  it('loads hash partitions through their topmost table with -r, where rows belong elsewhere on the target', async () => {
    const sql = `CREATE TYPE filler AS ENUM ('x'); CREATE TYPE mood AS ENUM ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
      CREATE TABLE "h;" (m mood, n int) PARTITION BY HASH (m);
      ${[0, 1, 2, 3].map((part) => `CREATE TABLE h_${part} PARTITION OF "h;" FOR VALUES WITH (MODULUS 4, REMAINDER ${part});`).join('\n')}
      INSERT INTO "h;" SELECT (enum_range(null::mood))[1 + i % 8], i FROM generate_series(1, 80) i;`;
    await withScene({ sql, formatOf: (table) => (table === 'h_1' ? 'binary' : 'text') }, async ({ source, target, run }) => {
      const outcome = await run(['-d', target, '-r']);
      assert.equal(outcome.status, 0, outcome.stderr);
      const rows = 'SELECT m, n FROM "h;" ORDER BY n';
      assert.equal(await cluster.psql(target, rows), await cluster.psql(source, rows));
    });
  });

  it('checks without restoring, and says what it could not check', async () => {
    await withScene({}, async ({ target, run }) => {
      const whole = await run(['-c']);
      assert.equal(whole.status, 0, whole.stderr);
      assert.match(whole.stdout, /nothing wrong was found: 2 segments, 10000 rows/);
      const without = await run(
        ['-c'],
        stockTools.filter((tool) => tool !== 'sha256sum'),
      );
      assert.equal(without.status, 0, without.stderr);
      assert.match(without.stderr, /sha256sum is not installed: the manifest, the schema and restore\/ are not checked/);
      await assertUntouched(target);
    });
  });

  const flip = async (path: string, position: number): Promise<void> => {
    const bytes = await readFile(path);
    const index = position < 0 ? bytes.length + position : position;
    bytes[index] = (bytes[index] ?? 0) ^ 0x10;
    await writeFile(path, bytes);
  };
  const dataFile = 'data/t000001-a1-p001.zst';
  const damages: readonly (readonly [string, number, (directory: string) => Promise<unknown>])[] = [
    ['a flipped byte in a data file', 20, (directory) => flip(join(directory, dataFile), 200)],
    ['a truncated data file', 20, (directory) => truncate(join(directory, dataFile), 100)],
    ['a missing data file', 20, (directory) => rm(join(directory, dataFile))],
    ['a data file behind a link', 20, (directory) => moveBehindLink(join(directory, dataFile), join(directory, 'away'), '../away')],
    ['a data folder behind a link', 20, (directory) => moveBehindLink(join(directory, 'data'), join(directory, 'away'), 'away')],
    ['an edited manifest', 20, (directory) => flip(join(directory, 'manifest.json'), 40)],
    ['a flipped byte in the schema archive', 20, (directory) => flip(join(directory, 'schema/0001.dump.zst'), -20)],
    ['an edited statement', 20, (directory) => flip(join(directory, 'restore/0001/statements.sql'), 3)],
    ['a list of checksums that lacks a line', 20, (directory) => writeFile(join(directory, 'restore/sha256sums'), '')],
    ['a missing restore/segments.tsv', 20, (directory) => rm(join(directory, 'restore/0001/segments.tsv'))],
    ['no manifest', 10, (directory) => rm(join(directory, 'manifest.json'))],
  ];
  it('refuses a damaged backup before it touches the target', async () => {
    await withScene({}, async ({ target, directory, run }) => {
      await cp(directory, `${directory}.good`, { recursive: true });
      for (const [title, status, damage] of damages) {
        await damage(directory);
        const outcome = await run();
        assert.equal(outcome.status, status, `${title}: ${outcome.stderr}`);
        assert.match(outcome.stderr, /restore\.sh: error: /, title);
        await assertUntouched(target);
        await rm(directory, { recursive: true });
        await cp(`${directory}.good`, directory, { recursive: true });
      }
      assert.equal((await run()).status, 0);
    });
  });

  it('checks XXH3-128 with the stock xxhsum', { skip: hasXxhsum ? false : 'xxhsum is not installed' }, async () => {
    await withScene({ checksum: 'xxh3-128' }, async ({ target, directory, run }) => {
      await flip(join(directory, dataFile), 200);
      const outcome = await run(undefined, [...stockTools, 'xxhsum']);
      assert.equal(outcome.status, 20, outcome.stderr);
      await assertUntouched(target);
      await flip(join(directory, dataFile), 200);
      const mended = await run(undefined, [...stockTools, 'xxhsum']);
      assert.equal(mended.status, 0, mended.stderr);
      assert.equal(mended.stderr, '');
    });
  });

  const configs = [
    'JOBS=0',
    'PG_DUMP_MAJOR=x',
    'CHECKSUM=md5',
    'DATABASES=a[$(touch x)]',
    'GLOBALS=../../etc/passwd',
    'GLOBALS=/etc/passwd',
  ];
  const databaseConfigs = [
    'ENCODING=$(touch x)',
    'SCHEMA=../../etc/passwd',
    'SCHEMA=/etc/passwd',
    'LARGE_OBJECTS=../x',
    'OUTWARD=1259:$(touch x)',
    'OUTWARD_CHILDREN=$(touch x)',
    'SCHEMAS=$(touch x)',
    'SEGMENTS=a[$(touch x)]',
  ];
  const databases = ['$(touch x)\t"x"', '2\t"x"', '../1\t"x"'];
  const segments = [
    '../../../etc/passwd\t0\t5\tnone\t0\t5\t1\t0\t0',
    '/etc/passwd\t0\t5\tnone\t0\t5\t1\t0\t0',
    'data/x\ta[$(touch x)]\t5\tnone\t0\t5\t1\t0\t0',
    'data/x\t0\t5\tsh\t0\t5\t1\t0\t0',
    'data/x\t0',
  ];
  it('takes nothing from its files that has a wrong form, not even without checksums', async () => {
    await withScene({}, async ({ target, directory, run }) => {
      const tools = stockTools.filter((tool) => tool !== 'sha256sum');
      for (const [path, lines] of [
        ['restore/config', configs],
        ['restore/0001/config', databaseConfigs],
        ['restore/databases.tsv', databases],
        ['restore/0001/segments.tsv', segments],
      ] as const) {
        const good = await readFile(join(directory, path), 'utf8');
        for (const line of lines) {
          await chmod(join(directory, path), 0o600);
          await writeFile(join(directory, path), `${good}${line}\n`);
          const outcome = await run(undefined, tools);
          assert.equal(outcome.status, 20, `${line}: ${outcome.stderr}`);
        }
        await writeFile(join(directory, path), good);
      }
      await assertUntouched(target);
    });
  });

  for (const format of ['text', 'binary'] as const) {
    it(`keeps no row of a damaged ${format} segment where no checksum tool is installed`, async () => {
      await withScene({ formatOf: () => format }, async ({ target, directory, run }) => {
        await flip(join(directory, dataFile), 5000);
        const outcome = await run(
          undefined,
          stockTools.filter((tool) => tool !== 'sha256sum'),
        );
        assert.equal(outcome.status, 1, outcome.stderr);
        assert.match(outcome.stderr, /1 of 2 segments were loaded/);
        assert.equal(await cluster.psql(target, "SELECT (SELECT count(*) FROM t) || ' ' || (SELECT count(*) FROM u)"), '0 5000');
      });
    });

    it(`keeps no row of a ${format} segment that ends early at a row end`, async () => {
      await withScene({ formatOf: () => format, codec: 'none' }, async ({ target, directory, manifest, run }) => {
        // Shorten the first segment so that it still decodes and ends at a row end: what the stock tools alone cannot see.
        const bytes = await readFile(join(directory, 'data/t000001-a1-p001.copy'));
        const segment = manifest.databases[0]?.relations[0]?.segments[0];
        assert.ok(segment !== undefined);
        const rowEnd = format === 'text' ? bytes.subarray(0, segment.storedBytes - 1).lastIndexOf('\n') + 1 : 19 + 2 + 4 + 4 + 4 + 32;
        const list = await readFile(join(directory, 'restore/0001/segments.tsv'), 'utf8');
        await writeFile(join(directory, 'restore/0001/segments.tsv'), list.replace(`\t0\t${segment.storedBytes}\t`, `\t0\t${rowEnd}\t`));
        const outcome = await run(
          undefined,
          stockTools.filter((tool) => tool !== 'sha256sum'),
        );
        assert.equal(outcome.status, 1, outcome.stderr);
        assert.match(
          outcome.stderr,
          format === 'text'
            ? /holds 4999 rows instead of 5000; none of them was kept/
            : /holds 1 rows instead of 5000; none of them was kept/,
        );
        assert.equal(await cluster.psql(target, "SELECT (SELECT count(*) FROM t) || ' ' || (SELECT count(*) FROM u)"), '0 5000');
      });
    });
  }

  it('refuses a target that holds relations, wrong usage and missing tools', async () => {
    await withScene({}, async ({ target, run }) => {
      const missing = await run(
        undefined,
        stockTools.filter((tool) => tool !== 'zstd'),
      );
      assert.equal(missing.status, 1);
      assert.match(missing.stderr, /zstd is not installed/);
      for (const args of [[], ['-d'], ['-d', target, '-j', '0'], ['-d', target, 'more'], ['-q']])
        assert.equal((await run(args)).status, 2, args.join(' '));
      const unreachable = await run(['-d', 'no_such_database']);
      assert.equal(unreachable.status, 1);
      assert.equal((await run(['--help'])).status, 0);
      assert.equal((await run(['-?'])).status, 0);
      await cluster.psql(target, 'CREATE VIEW v AS SELECT 1');
      const taken = await run();
      assert.equal(taken.status, 1);
      assert.match(taken.stderr, /the target already holds 1 relations/);
    });
  });
});

let directoryCount = 0;
const makeUniqueDirectory = async (base: string): Promise<string> => {
  const path = join(base, `path-${++directoryCount}`);
  await mkdir(path);
  return path;
};
