import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { backupCluster, DbbackupError, type Event, restore, restoreCluster, show, verify } from 'dbbackup';
import { startRun } from '../faults/support/running.js';
import { runChild, runChildOrThrow } from '../support/child.js';
import { runCli } from '../support/cli.js';
import { type Cluster, quoteIdentifier, startCluster } from '../support/cluster.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { findServerUser } from '../support/server-user.js';

const oddName = 'Ünïcode "däta" = \'b\'';

/** Ten roles, a tablespace and six databases, one of which is to be left out. */
const globalsSql = (tablespace: string): string => `
DROP ROLE IF EXISTS tls_user, scram_user;
CREATE ROLE readers; CREATE ROLE writers; CREATE ROLE admins CREATEROLE CREATEDB;
CREATE ROLE shop_owner LOGIN PASSWORD 'a secret of shop' CONNECTION LIMIT 7 VALID UNTIL '2031-02-03 04:05:06+00';
CREATE ROLE "Odd 'Röle"";--" LOGIN NOINHERIT;
CREATE ROLE "back\\slash" REPLICATION; CREATE ROLE bob LOGIN IN ROLE readers; CREATE ROLE carol LOGIN PASSWORD 'other';
CREATE ROLE dave BYPASSRLS; CREATE ROLE eve NOLOGIN;
GRANT writers TO shop_owner WITH ADMIN OPTION; GRANT readers TO writers; GRANT "Odd 'Röle"";--" TO carol; GRANT pg_read_all_data TO bob;
ALTER ROLE bob SET work_mem TO '9MB'; ALTER ROLE shop_owner SET search_path TO "a b", public;
COMMENT ON ROLE eve IS 'it''s; a \\ comment
CREATE ROLE never;';
CREATE TABLESPACE "fast disk" OWNER admins LOCATION '${tablespace}' WITH (random_page_cost = 1.5);
GRANT CREATE ON TABLESPACE "fast disk" TO shop_owner; COMMENT ON TABLESPACE "fast disk" IS 'quick';
CREATE DATABASE shop OWNER shop_owner TABLESPACE "fast disk" CONNECTION LIMIT 20;
CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C' OWNER carol;
CREATE DATABASE ascii TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C';
CREATE DATABASE ${quoteIdentifier(oddName)} OWNER "Odd 'Röle"";--";
CREATE DATABASE left_out; CREATE DATABASE readonly_one IS_TEMPLATE true;
ALTER DATABASE shop SET work_mem TO '11MB'; ALTER DATABASE shop SET "my.setting" TO 'x;'' \\ y'; ALTER ROLE bob IN DATABASE shop SET work_mem TO '12MB';
COMMENT ON DATABASE shop IS 'the shop; it''s "big"
CREATE DATABASE nothing;'; REVOKE CONNECT ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE shop TO readers WITH GRANT OPTION;
ALTER DATABASE readonly_one SET default_transaction_read_only TO on;
COMMENT ON DATABASE postgres IS 'where administrators live'; ALTER DATABASE postgres SET work_mem TO '10MB';
`;

const shopSql = `
SET ROLE shop_owner;
CREATE SCHEMA app; ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO readers;
CREATE TABLE app.orders (id bigserial PRIMARY KEY, note text, amount numeric) TABLESPACE "fast disk";
INSERT INTO app.orders (note, amount) SELECT repeat('ü', n % 50), n / 7.0 FROM generate_series(1, 20000) n;
CREATE TABLE app.documents (id int PRIMARY KEY, body bytea); INSERT INTO app.documents SELECT n, decode(repeat(md5(n::text), 1000), 'hex') FROM generate_series(1, 50) n;
CREATE INDEX ON app.orders (amount); GRANT INSERT ON app.orders TO writers;
CREATE MATERIALIZED VIEW app.totals AS SELECT count(*) FROM app.orders;
RESET ROLE; SELECT lo_from_bytea(4711, 'a large object of shop');
`;

const excluded = { excludeDatabases: ['LEFT_*'] };
const expectedDatabases = ['template1', 'ascii', 'latin', 'postgres', 'readonly_one', 'shop', oddName];

/** What two servers must have in common: globals and definitions by the stock tools, rows by the server. */
const readFacts = async (cluster: Cluster): Promise<ReadonlyMap<string, string>> => {
  const env = { ...process.env, ...cluster.env('postgres') };
  // The hash of the superuser's password is salted anew on each server.
  const clean = (text: string): string =>
    text
      .replace(/^\\(un)?restrict .*$/gm, '')
      .replace(/^ALTER ROLE postgres WITH .*$/gm, '')
      .replace(/^-- Started on.*$|^-- Completed on.*$/gm, '');
  const facts = new Map<string, string>();
  facts.set('globals', clean(await runChildOrThrow(join(cluster.binDir, 'pg_dumpall'), ['--globals-only'], { env })));
  const names = (await cluster.psql('postgres', "SELECT datname FROM pg_database WHERE datname <> 'template0' ORDER BY 1")).split('\n');
  facts.set('databases', names.filter((name) => name !== 'left_out').join('\n'));
  for (const name of names.filter((other) => other !== 'left_out')) {
    const dump = ['--create', '--schema-only', `--dbname=dbname='${name.replace(/[\\']/g, '\\$&')}'`];
    facts.set(`definitions of ${name}`, clean(await runChildOrThrow(join(cluster.binDir, 'pg_dump'), dump, { env })));
    facts.set(`rows of ${name}`, JSON.stringify([...(await tableFingerprints(cluster, name))]));
    facts.set(
      `large objects and sequences of ${name}`,
      await cluster.psql(
        name,
        'SELECT loid, pageno, data FROM pg_largeobject ORDER BY 1, 2; SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2',
      ),
    );
  }
  return facts;
};

describe('a cluster is backed up, verified and restored', () => {
  let outputDir: string;
  let directory: string;
  let tablespace: string;
  let facts: ReadonlyMap<string, string>;
  let id: string;
  let target: Cluster | null = null;

  /** Source and targets stand on one machine: each has the tablespace's path to itself, one after the other. */
  const emptyTablespace = (): void => {
    rmSync(tablespace, { recursive: true, force: true });
    mkdirSync(tablespace, { mode: 0o700 });
    const user = findServerUser();
    if (user !== undefined) chownSync(tablespace, user.uid, user.gid);
  };

  const withTarget = async (use: (cluster: Cluster) => Promise<void>): Promise<void> => {
    emptyTablespace();
    target = await startCluster();
    try {
      await target.psql('postgres', 'DROP ROLE tls_user, scram_user');
      await use(target);
    } finally {
      await target.stop();
      target = null;
    }
  };

  const connectionTo = (cluster: Cluster, database = 'postgres') => ({ database: cluster.uri(database) });

  const assertFacts = async (cluster: Cluster): Promise<void> => {
    const found = await readFacts(cluster);
    for (const [name, expected] of facts) assert.equal(found.get(name), expected, name);
    assert.equal(found.size, facts.size);
  };

  const rejectsWith = async (code: string, message: RegExp, run: () => Promise<unknown>): Promise<void> => {
    await assert.rejects(run, (error) => {
      assert.ok(error instanceof DbbackupError, String(error));
      assert.match(`${error.message} ${error.hint ?? ''}`, message);
      assert.equal(error.code, code);
      return true;
    });
  };

  before(async () => {
    outputDir = await mkdtemp(join(tmpdir(), 'dbbackup-cluster-'));
    directory = await mkdtemp(join(tmpdir(), 'dbbackup-tablespace-'));
    const user = findServerUser();
    if (user !== undefined) chownSync(directory, user.uid, user.gid);
    tablespace = join(directory, 'fast');
    emptyTablespace();
    const source = await startCluster();
    try {
      await source.psql('postgres', globalsSql(tablespace));
      await source.psql('shop', shopSql);
      await source.psql('latin', 'CREATE TABLE "straße" ("größe" text); INSERT INTO "straße" VALUES (\'äöüß\'), (E\'\\n\\\\.\');');
      await source.psql(
        'ascii',
        "CREATE TABLE t (v text); INSERT INTO t VALUES (convert_from('\\xc3a9ff'::bytea, 'SQL_ASCII')), ('plain')",
      );
      await source.psql(oddName, 'CREATE TABLE shop (id int PRIMARY KEY); INSERT INTO shop SELECT generate_series(1, 100)');
      await source.psql('left_out', 'CREATE TABLE t (id int)');
      await source.psql('template1', 'CREATE EXTENSION IF NOT EXISTS hstore');
      await source.psql(
        'readonly_one',
        'SET default_transaction_read_only TO off; CREATE TABLE t AS SELECT generate_series(1, 1000) AS id; CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM t',
      );
      facts = await readFacts(source);

      const events: Event[] = [];
      const report = await backupCluster(
        { connection: connectionTo(source), outputDir, jobs: 2, ...excluded },
        { onEvent: (event) => events.push(event) },
      );
      ({ id } = report);
      assert.deepEqual(report.warnings, []);
      assert.equal(report.databaseCount, expectedDatabases.length);
      assert.equal(report.snapshots.waveCount, 2);
      assert.match(id, /^cluster-\d{8}t\d{6}z-/);
      const planned = events.flatMap((event) => (event.type === 'plan.ready' ? [event.database] : []));
      assert.deepEqual(planned, expectedDatabases);
      const chunks = events.flatMap((event) => (event.type === 'chunk.started' ? [event.database] : []));
      assert.equal(
        chunks.find((name) => name !== 'template1'),
        'shop',
        'the largest task of all databases comes first',
      );
      assert.ok(!JSON.stringify(events).includes('SCRAM'), 'no hash of a password is told');
      await rejectsWith('usage', /leaves none of/, () =>
        backupCluster({ connection: connectionTo(source), outputDir, excludeDatabases: ['*'] }),
      );
      await rejectsWith('usage', /is no pattern of databases/, () =>
        backupCluster({ connection: connectionTo(source), outputDir, excludeDatabases: ['a.b'] }),
      );
      await testWaves(source);
      await testWithoutPasswords(source);
    } finally {
      await source.stop();
    }
  });

  /** A role that may hold few connections reads the databases one wave after the other. */
  const testWaves = async (source: Cluster): Promise<void> => {
    await source.psql(
      'postgres',
      'CREATE ROLE narrow LOGIN CONNECTION LIMIT 7 IN ROLE pg_read_all_data; GRANT CONNECT ON DATABASE shop TO narrow',
    );
    try {
      const connection = { database: source.uri('postgres', { user: 'narrow' }) };
      const report = await backupCluster({
        connection,
        outputDir,
        jobs: 2,
        arePasswordsLeftOut: true,
        excludeDatabases: ['left_out', 'shop'],
      });
      const { manifest } = await show({ id: report.id, outputDir });
      assert.deepEqual(
        manifest.databases.map(({ wave }) => wave),
        [1, 2, 2, 3, 3, 4],
      );
      assert.deepEqual(
        manifest.waves.map(({ number }) => number),
        [1, 2, 3, 4],
      );
      assert.ok(manifest.waves.every(({ earliestAt, latestAt }) => earliestAt <= latestAt));
      assert.equal(report.snapshots.waveCount, 4);
      assert.deepEqual((await verify({ id: report.id, outputDir })).damage, []);
    } finally {
      await source.psql('postgres', 'REVOKE CONNECT ON DATABASE shop FROM narrow; DROP ROLE narrow');
    }
  };

  const testWithoutPasswords = async (source: Cluster): Promise<void> => {
    await source.psql('postgres', 'CREATE ROLE poor LOGIN');
    const poor = { database: source.uri('postgres', { user: 'poor' }) };
    await rejectsWith('permission_denied', /pg_authid.*--no-role-passwords/s, () =>
      backupCluster({ connection: poor, outputDir, ...excluded }),
    );
    await rejectsWith('permission_denied', /may not connect to shop.*GRANT CONNECT ON DATABASE shop TO poor/s, () =>
      backupCluster({ connection: poor, outputDir, arePasswordsLeftOut: true, ...excluded }),
    );
    await source.psql('postgres', 'DROP ROLE poor');
    const options = ['--output-dir', outputDir, '--exclude-database', 'left_out', '--no-role-passwords', '--json'];
    const { status, stdout, stderr } = await runCli(['backup', 'cluster', source.uri('postgres'), ...options]);
    assert.equal(status, 0, stderr);
    const finished = stdout.split('\n').find((line) => line.includes('"backup.finished"')) ?? '';
    const { id: other } = JSON.parse(finished) as { readonly id: string };
    const script = await runChildOrThrow('zstd', ['-dc', join(outputDir, other, 'globals/globals.sql.zst')]);
    assert.match(script, /CREATE ROLE shop_owner;/);
    assert.doesNotMatch(script, /PASSWORD '/);
  };

  after(async () => {
    await target?.stop();
    await rm(outputDir, { recursive: true, force: true });
    await rm(directory, { recursive: true, force: true });
  });

  test('the manifest lists databases, globals and when the snapshots were taken', async () => {
    const { manifest } = await show({ id, outputDir });
    assert.equal(manifest.kind, 'cluster');
    assert.deepEqual(
      manifest.databases.map(({ number, name, schema }) => [number, name, schema.path]),
      expectedDatabases.map((name, index) => [index + 1, name, `schema/000${index + 1}.dump.zst`]),
    );
    const timesOf = (wave: number) =>
      manifest.databases
        .filter((database) => database.wave === wave)
        .flatMap(({ snapshots }) => snapshots.map(({ takenAt }) => takenAt))
        .sort();
    assert.deepEqual(
      manifest.databases.map(({ wave }) => wave),
      [1, 2, 2, 2, 2, 2, 2],
    );
    assert.deepEqual(
      manifest.waves,
      [1, 2].map((number) => ({ number, earliestAt: timesOf(number)[0], latestAt: timesOf(number).at(-1) })),
    );
    assert.equal(statSync(join(outputDir, id, manifest.globals?.path ?? '')).mode & 0o777, 0o600);
    const text = await runCli(['show', id, '--output-dir', outputDir]);
    assert.match(text.stdout, /databases +7 +snapshots in 2 waves within/);
    assert.match(text.stdout, /shop: app\.orders/);
    const list = await runCli(['list', '--output-dir', outputDir]);
    assert.match(list.stdout, /and 4 more/);
  });

  test('verify reads all of it and names database and table of a damage', async () => {
    assert.deepEqual((await verify({ id, outputDir })).damage, []);
    const { manifest } = await show({ id, outputDir });
    const shop = manifest.databases.find(({ name }) => name === 'shop');
    const segment = shop?.relations.find(({ name }) => name === 'orders')?.segments[0];
    const path = join(outputDir, id, manifest.files[segment?.file ?? -1]?.path ?? '');
    renameSync(path, `${path}.away`);
    try {
      const { damage } = await verify({ id, outputDir });
      assert.ok(
        damage.some(({ relation }) => relation.includes('shop: app.orders')),
        JSON.stringify(damage),
      );
    } finally {
      renameSync(`${path}.away`, path);
    }
  });

  test('into a fresh server everything comes back', async () => {
    await withTarget(async (cluster) => {
      rmSync(tablespace, { recursive: true });
      await rejectsWith('io_error', new RegExp(`tablespace "fast disk" needs the directory ${tablespace}`), () =>
        restoreCluster({ id, outputDir, connection: connectionTo(cluster) }),
      );
      emptyTablespace();
      await cluster.createDatabase('shop');
      await cluster.psql('shop', 'CREATE TABLE mine (id int)');
      await rejectsWith('target_not_empty', /database "shop" exists and is not empty: it holds table public\.mine/, () =>
        restoreCluster({ id, outputDir, connection: connectionTo(cluster) }),
      );
      assert.equal(
        await cluster.psql('postgres', "SELECT count(*) FROM pg_roles WHERE rolname = 'shop_owner'"),
        '0',
        'nothing was touched',
      );

      const events: Event[] = [];
      const report = await restoreCluster(
        { id, outputDir, connection: connectionTo(cluster), jobs: 2, isChecking: true, isCleaning: true, isConfirmed: true },
        { onEvent: (event) => events.push(event) },
      );
      assert.deepEqual(report.warnings, []);
      assert.deepEqual(report.databases, expectedDatabases);
      assert.deepEqual(report.notices, ['role "postgres" exists already and is left as it is']);
      assert.ok((report.checkedRelationCount ?? 0) >= 6);
      assert.equal(events.filter(({ type }) => type === 'restore.finished').length, 1);
      assert.ok(events.some((event) => event.type === 'progress' && event.rawBytes === report.rawBytes));
      await assertFacts(cluster);
      assert.equal(
        await cluster.psql('postgres', "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'shop_owner'"),
        't',
      );

      await rejectsWith('usage', /holds 7 databases/, () => restore({ id, outputDir, connection: connectionTo(cluster, 'x') }));
      await rejectsWith('usage', /holds no database "nope"/, () =>
        restore({ id, outputDir, database: 'nope', connection: connectionTo(cluster, 'x') }),
      );
      const single = await restore({ id, outputDir, database: 'shop', connection: connectionTo(cluster, 'shop_alone'), isCreating: true });
      const { manifest } = await show({ id, outputDir });
      assert.equal(single.relationCount, manifest.databases.find(({ name }) => name === 'shop')?.relations.length);
      assert.equal(JSON.stringify([...(await tableFingerprints(cluster, 'shop_alone'))]), facts.get('rows of shop'));
    });
  });

  test('without tablespaces, without some databases, and not over roles that are there', async () => {
    await withTarget(async (cluster) => {
      rmSync(tablespace, { recursive: true });
      await cluster.psql('postgres', "CREATE ROLE bob CREATEDB; COMMENT ON ROLE bob IS 'the target''s own'");
      const options = [
        '--output-dir',
        outputDir,
        '--no-tablespaces',
        '--exclude-database',
        'latin',
        '--exclude-database',
        '"Ü*"',
        '--check',
      ];
      const { status, stdout, stderr } = await runCli(['restore', 'cluster', id, '--target-server', cluster.uri('postgres'), ...options]);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /role "bob" exists already/);
      const attributes = await cluster.psql('postgres', "SELECT rolcreatedb, rolcanlogin, rolconfig FROM pg_roles WHERE rolname = 'bob'");
      assert.equal(attributes, 't|f|');
      const names = await cluster.psql('postgres', 'SELECT datname FROM pg_database ORDER BY 1');
      assert.ok(!names.includes('latin') && names.includes('shop'));
      assert.equal(JSON.stringify([...(await tableFingerprints(cluster, 'shop'))]), facts.get('rows of shop'));
      assert.equal(await cluster.psql('postgres', "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'"), 'shop_owner');
    });
  });

  test('a role that does not exist at the target is named', async () => {
    await withTarget(async (cluster) => {
      await rejectsWith('role_missing', /role "shop_owner" does not exist/, () =>
        restore({ id, outputDir, database: 'shop', connection: connectionTo(cluster, 'shop'), isCreating: true }),
      );
    });
  });

  test('by restore.sh alone', async () => {
    const script = join(outputDir, id, 'restore.sh');
    await withTarget(async (cluster) => {
      const env = { ...process.env, ...cluster.env('postgres'), PATH: `${cluster.binDir}:${process.env['PATH'] ?? ''}` };
      const run = (...args: readonly string[]) => runChild(script, args, { env });
      const listed = await run('-l');
      assert.equal(listed.status, 0, listed.stderr);
      assert.equal(listed.stdout.split('\n')[5], '6\t"shop"');
      assert.equal((await run('-d', 'x')).status, 2);
      assert.equal((await run('-c')).status, 0);
      const outcome = await run('--all', '-j', '2');
      assert.equal(outcome.status, 0, `${outcome.stdout}${outcome.stderr}`);
      await assertFacts(cluster);
      const again = await run('--all');
      assert.equal(again.status, 1, again.stdout);
      assert.match(again.stderr, /already holds|not empty/);
      const globals = await run('--globals');
      assert.equal(globals.status, 0, globals.stderr);
      await cluster.createDatabase('one', 'TEMPLATE template0');
      const one = await run('-n', '6', '-d', 'one');
      assert.equal(one.status, 0, `${one.stdout}${one.stderr}`);
      assert.equal(JSON.stringify([...(await tableFingerprints(cluster, 'one'))]), facts.get('rows of shop'));
    });
    const text = await readFile(script, 'utf8');
    assert.ok(!text.includes('shop_owner'));
    assert.ok(readdirSync(join(outputDir, id, 'restore')).includes('0007'));
  });

  test('a restore that is killed goes on: complete databases stay, the others go on where they were', async () => {
    await withTarget(async (cluster) => {
      const args = ['restore', 'cluster', id, '--target-server', cluster.uri('postgres'), '--output-dir', outputDir];
      const started = (name: string) => (event: Event) =>
        event.type === 'phase.started' && event.database === name && event.phase === 'data';
      for (const name of ['latin', 'shop', oddName]) {
        const run = startRun([...args, '--resume']);
        await run.waitFor(started(name));
        process.kill(run.pid, 'SIGKILL');
        await run.outcome;
        const doneBefore = run.events.some((event) => event.type === 'phase.started' && event.database === 'ascii');
        assert.equal(doneBefore, name === 'latin', 'a complete database is not touched again');
      }
      await rejectsWith('target_not_empty', /was interrupted.*--resume/, () =>
        restoreCluster({ id, outputDir, connection: connectionTo(cluster) }),
      );
      const outcome = await startRun([...args, '--resume']).outcome;
      assert.equal(outcome.status, 0, outcome.stderr);
      await assertFacts(cluster);
    });
  });
});
