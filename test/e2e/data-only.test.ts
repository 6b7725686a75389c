import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { restore } from 'dbbackup';
import { expectFailure, expectSuccess } from '../faults/support/failure.js';
import { type Scene, withScene } from '../faults/support/scene.js';
import { runChild } from '../support/child.js';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';
import { isErrorWith } from '../support/errors.js';

const definitions = `
CREATE TABLE customers (id serial PRIMARY KEY, name text);
CREATE TABLE orders (id int PRIMARY KEY, customer int CONSTRAINT orders_customer REFERENCES customers, part int, other text);
CREATE TABLE log (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log VALUES (tg_name); RETURN new; END';
CREATE TRIGGER noted AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note();
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders;
`;
const rows = `
INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 10) i;
INSERT INTO orders SELECT i, i % 10 + 1, i, 'x' FROM generate_series(1, 50) i; TRUNCATE log;
`;

const ask = (scene: Scene, database: string, sql: string): Promise<string> => scene.cluster.psql(database, sql);

/** `fn` with a database whose owner is a role of its own, no superuser, which runs the restore. */
const withOwner = async (scene: Scene, fn: (database: string, uri: string, role: string) => Promise<void>): Promise<void> => {
  const role = uniqueDatabaseName('owner');
  await scene.cluster.psql('postgres', `CREATE ROLE ${role} LOGIN`);
  try {
    await withDatabase(
      scene.cluster,
      async (database) => {
        await scene.cluster.psql(database, `ALTER SCHEMA public OWNER TO ${role}; SET ROLE ${role}; ${definitions}`);
        const uri = `postgresql://${role}@127.0.0.1:${scene.cluster.port}/${database}`;
        await fn(database, uri, role);
      },
      `OWNER ${role}`,
    );
  } finally {
    await scene.cluster.psql('postgres', `DROP ROLE ${role}`);
  }
};

describe('rows are loaded into tables that exist', () => {
  test('past triggers and foreign keys as a superuser, with values of sequences and views', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        // A rule on INSERT concerns no COPY. Columns are in another order, and one has a default of its own.
        await ask(
          scene,
          target,
          definitions.replace(
            'customer int CONSTRAINT orders_customer REFERENCES customers, part int, other text',
            "part int, extra text DEFAULT 'd', other text, customer int CONSTRAINT orders_customer REFERENCES customers",
          ),
        );
        await ask(scene, target, 'CREATE RULE swallowed AS ON INSERT TO orders DO INSTEAD NOTHING');
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--data-only'];
        expectSuccess(await scene.run([...to, '--check']));
        assert.equal(await ask(scene, target, 'SELECT count(*), min(extra) FROM orders'), '50|d');
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM log'), '0', 'no trigger was at work');
        assert.equal(await ask(scene, target, "INSERT INTO customers (name) VALUES ('n') RETURNING id"), '11');
        assert.equal(await ask(scene, target, 'SELECT n FROM totals'), '50');
        expectFailure(await scene.run(to), {
          status: 1,
          code: 'target_not_empty',
          message: /public\.(customers|orders) holds rows/,
          hint: /--append/,
        });
        await ask(scene, target, 'ALTER TABLE orders DROP CONSTRAINT orders_pkey; DELETE FROM log');
        expectSuccess(await scene.run([...to, '-t', 'orders', '--append']));
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM orders'), '100');
      });
    }));

  test('rows without a referent are an error that names the constraint', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        await ask(scene, target, definitions);
        const outcome = await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--data-only', '-t', 'orders']);
        expectFailure(outcome, { status: 1, code: 'constraint_violated', message: /constraint orders_customer of public\.orders/ });
      });
    }));

  test('a table or column that is missing is named before anything is loaded', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--data-only'];
        await ask(scene, target, definitions.replace(', other text', ''));
        expectFailure(await scene.run(to), { status: 1, code: 'target_incompatible', message: /public\.orders has no column "other"/ });
        await ask(scene, target, 'DROP TABLE orders CASCADE');
        expectFailure(await scene.run(to), { status: 1, code: 'target_incompatible', message: /public\.orders does not exist/ });
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM customers'), '0');
      });
    }));

  test('a backup without definitions is loaded so', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp(['--data-only']);
      await withDatabase(scene.cluster, async (target) => {
        await ask(scene, target, definitions);
        expectFailure(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target)]), {
          status: 1,
          code: 'definitions_missing',
          message: /holds no definitions/,
        });
        expectSuccess(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--data-only']));
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM orders'), '50');
        await ask(scene, target, 'TRUNCATE orders, customers; DELETE FROM log');
        const script = await runChild(join(scene.directoryOf(id), 'restore.sh'), ['-d', scene.cluster.uri(target), '-j', '3']);
        assert.equal(script.status, 0, script.stderr);
        assert.equal(script.stderr, '');
        assert.equal(await ask(scene, target, 'SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM log)'), '50|0');
      });
    }));

  test('a role that may not pass triggers is told which are in the way', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp();
      await withOwner(scene, async (database, uri, role) => {
        const to = ['restore', 'single', id, '--target-db', uri, '--data-only'];
        const failure = await scene.run(to);
        expectFailure(failure, {
          status: 1,
          code: 'triggers_in_the_way',
          message: /constraint orders_customer of public\.orders.*trigger noted of public\.orders/,
          hint: /--disable-triggers/,
        });
        // Those of a foreign key are the system's: only a superuser may disable them.
        expectFailure(await scene.run([...to, '--disable-triggers']), { status: 1, code: 'permission_denied', message: /system trigger/ });
        assert.equal(await ask(scene, database, 'SELECT count(*) FROM orders'), '0');
        await ask(scene, database, 'ALTER TABLE orders DROP CONSTRAINT orders_customer');
        expectSuccess(await scene.run([...to, '--disable-triggers']));
        assert.equal(
          await ask(
            scene,
            database,
            "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM log), tgenabled FROM pg_trigger WHERE tgname = 'noted'",
          ),
          '50|0|O',
        );
        if (scene.cluster.version < 15) return;
        await ask(
          scene,
          database,
          `TRUNCATE orders, customers; ALTER TABLE orders ADD CONSTRAINT orders_customer FOREIGN KEY (customer) REFERENCES customers`,
        );
        await ask(scene, 'postgres', `GRANT SET ON PARAMETER session_replication_role TO ${role}`);
        try {
          expectSuccess(await scene.run(to));
          assert.equal(await ask(scene, database, 'SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM log)'), '50|0');
        } finally {
          await ask(scene, 'postgres', `REVOKE SET ON PARAMETER session_replication_role FROM ${role}`);
        }
      });
    }));

  test('triggers that fire under any role are in the way of a superuser, too, and come back as they were', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        await ask(scene, target, `${definitions} ALTER TABLE orders ENABLE ALWAYS TRIGGER noted;`);
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--data-only'];
        expectFailure(await scene.run(to), { status: 1, code: 'triggers_in_the_way', message: /trigger noted of public\.orders/ });
        expectSuccess(await scene.run([...to, '--disable-triggers']));
        assert.equal(
          await ask(scene, target, "SELECT (SELECT count(*) FROM log), tgenabled FROM pg_trigger WHERE tgname = 'noted'"),
          '0|A',
        );
      });
    }));

  test('triggers come back also when the run is cancelled', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        await ask(scene, target, `${definitions} ALTER TABLE orders ENABLE ALWAYS TRIGGER noted;`);
        const controller = new AbortController();
        let state = '';
        const running = restore(
          {
            id,
            outputDir: scene.repository,
            connection: { database: scene.cluster.uri(target) },
            selection: { isDataOnly: true },
            areTriggersDisabled: true,
          },
          {
            signal: controller.signal,
            onEvent: (event) => {
              if (event.type === 'phase.started' && event.phase === 'data') controller.abort();
              if (event.type === 'phase.started') state = event.phase;
            },
          },
        );
        await assert.rejects(running, isErrorWith('cancelled', /./));
        assert.equal(state, 'data', 'triggers were disabled by then');
        assert.equal(await ask(scene, target, "SELECT tgenabled FROM pg_trigger WHERE tgname = 'noted'"), 'A');
      });
    }));

  test('a database is not dropped for rows alone, nor for a map that cannot be', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        await ask(scene, target, definitions);
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target)];
        for (const part of [['--data-only'], ['--section', 'post-data']])
          expectFailure(await scene.run([...to, ...part, '--clean', '--yes']), {
            status: 2,
            code: 'usage',
            message: /created or replaced/,
          });
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM orders'), '0', 'the database is there');
        const other = ['restore', 'single', id, '--target-db', scene.cluster.uri(`${target}_2`), '--create'];
        for (const map of ['nosuch=x', 'public=pg_x'])
          expectFailure(await scene.run([...other, '--map-schema', map]), { status: 2, code: 'usage', message: /schema/ });
        assert.equal(await ask(scene, 'postgres', `SELECT count(*) FROM pg_database WHERE datname = '${target}_2'`), '0');
      });
    }));

  test('sequences: one that is missing is named before rows are in, its table brings it, and none is set back', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp(['--data-only']);
      await withDatabase(scene.cluster, async (target) => {
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--data-only', '-t', 'customers'];
        await ask(scene, target, definitions.replace('id serial PRIMARY', 'id int PRIMARY'));
        expectFailure(await scene.run(to), { status: 1, code: 'target_incompatible', message: /sequence public\.customers_id_seq/ });
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM customers'), '0');
        await ask(scene, target, 'CREATE SEQUENCE customers_id_seq');
        expectSuccess(await scene.run(to));
        assert.equal(await ask(scene, target, "SELECT nextval('customers_id_seq')"), '11');
        await ask(scene, target, "TRUNCATE customers CASCADE; SELECT setval('customers_id_seq', 500)");
        expectSuccess(await scene.run([...to, '--append']));
        assert.equal(await ask(scene, target, "SELECT nextval('customers_id_seq')"), '501');
        await ask(scene, target, "TRUNCATE customers CASCADE; SELECT setval('customers_id_seq', 10, false)");
        expectSuccess(await scene.run([...to, '--append']));
        assert.equal(await ask(scene, target, "SELECT nextval('customers_id_seq')"), '11');
      });
    }));

  test('through a root, keys and triggers of partitions count; states of a tree come back one by one; a failure tells what is not proved', () => {
    const tree = `CREATE TABLE ref (id int PRIMARY KEY); CREATE TABLE ev (id int, r int) PARTITION BY RANGE (id); CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM (0) TO (100);
CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM (100) TO (200); CREATE TABLE log (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log VALUES (tg_name); RETURN new; END';
CREATE TRIGGER noted AFTER INSERT ON ev FOR EACH ROW EXECUTE FUNCTION note(); `;
    return withScene(`${tree} INSERT INTO ev VALUES (1, 7), (150, 8); TRUNCATE log;`, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        await ask(
          scene,
          target,
          `${tree} ALTER TABLE ev ENABLE ALWAYS TRIGGER noted; ALTER TABLE ev_1 DISABLE TRIGGER noted;
CREATE TRIGGER own AFTER INSERT ON ev_2 FOR EACH ROW EXECUTE FUNCTION note(); ALTER TABLE ev_2 ENABLE ALWAYS TRIGGER own; ALTER TABLE ev_1 ADD CONSTRAINT leaf FOREIGN KEY (r) REFERENCES ref;`,
        );
        const states =
          "SELECT string_agg(tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text, ',' ORDER BY 1) FROM (SELECT * FROM pg_trigger WHERE tgname IN ('noted', 'own') ORDER BY tgrelid, tgname) t";
        const before = await ask(scene, target, states);
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--data-only', '--load-via-partition-root'];
        expectFailure(await scene.run([...to, '--disable-triggers']), {
          status: 1,
          code: 'constraint_violated',
          message: /constraint leaf of/,
        });
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM log'), '0');
        assert.equal(await ask(scene, target, states), before);
        await ask(scene, target, 'TRUNCATE ev; ALTER TABLE ev_2 ADD CHECK (r < 8)');
        expectFailure(await scene.run([...to, '--disable-triggers']), {
          status: 1,
          code: 'server_error',
          message: /check constraint/,
          hint: /not been checked against constraint leaf/,
        });
        assert.equal(await ask(scene, target, states), before);
      });
    });
  });

  test('triggers that cannot be put back are an error with the statements to run', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        const second = 'CREATE TRIGGER "also Noted" AFTER INSERT ON customers FOR EACH ROW EXECUTE FUNCTION note();';
        await ask(
          scene,
          target,
          `${definitions} ${second} ALTER TABLE orders ENABLE ALWAYS TRIGGER noted; ALTER TABLE customers ENABLE REPLICA TRIGGER "also Noted";`,
        );
        // Nobody may alter orders once it holds rows.
        await ask(
          scene,
          target,
          `CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF EXISTS (SELECT FROM public.orders) AND EXISTS (SELECT FROM pg_catalog.pg_event_trigger_ddl_commands() WHERE object_identity = 'public.orders') THEN RAISE 'orders is frozen'; END IF; END$$;
CREATE EVENT TRIGGER frozen ON ddl_command_end WHEN tag IN ('ALTER TABLE') EXECUTE FUNCTION refuse();`,
        );
        const states = "SELECT string_agg(tgname || tgenabled::text, ',' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal";
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--data-only', '--disable-triggers'];
        const failure = expectFailure(await scene.run(to), {
          status: 1,
          code: 'triggers_disabled',
          message: /^left disabled: trigger noted of public\.orders$/,
          hint: /Put them back: ALTER TABLE ONLY public\.orders ENABLE ALWAYS TRIGGER noted;/,
        });
        // The other one is back all the same, and keys are told that nothing has proved yet.
        assert.equal(await ask(scene, target, states), 'also NotedR,notedD');
        assert.match(failure.hint, /not been checked against constraint orders_customer of public\.orders/);
        assert.equal(await ask(scene, target, 'SELECT count(*) FROM orders'), '50');
        await ask(scene, target, `DROP EVENT TRIGGER frozen; ${/Put them back: (.*;)/.exec(failure.hint)?.[1] ?? ''}`);
        assert.equal(await ask(scene, target, states), 'also NotedR,notedA');
      });
    }));

  test('a load that fails tells which keys no query has proved, from and to the tables, and no others', () =>
    withScene(definitions + rows, async (scene) => {
      const id = await scene.backUp();
      await withDatabase(scene.cluster, async (target) => {
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--data-only'];
        await ask(
          scene,
          target,
          `${definitions} CREATE TABLE invoices (customer int CONSTRAINT billed REFERENCES customers); CREATE TABLE apart (id int PRIMARY KEY, other int CONSTRAINT unrelated REFERENCES apart);
CREATE TABLE late (customer int CONSTRAINT unproved REFERENCES customers); ALTER TABLE late DROP CONSTRAINT unproved; ALTER TABLE late ADD CONSTRAINT unproved FOREIGN KEY (customer) REFERENCES customers NOT VALID;
CREATE UNIQUE INDEX one ON orders (other);`,
        );
        const failure = expectFailure(await scene.run(to), {
          status: 1,
          code: 'server_error',
          message: /duplicate key .*"one"/,
          hint: /not been checked/,
        });
        assert.match(
          failure.hint,
          /against constraint billed of public\.invoices, constraint orders_customer of public\.orders: take them out/,
        );
        // Before anything is loaded there is nothing to tell.
        await ask(scene, target, 'TRUNCATE customers CASCADE; INSERT INTO orders VALUES (1); TRUNCATE log');
        const early = expectFailure(await scene.run(to), { status: 1, code: 'target_not_empty', message: /holds rows/ });
        assert.doesNotMatch(early.hint, /not been checked/);
        // Nor where no key is concerned.
        await ask(scene, target, 'TRUNCATE orders; DROP TABLE invoices, late; ALTER TABLE orders DROP CONSTRAINT orders_customer');
        expectFailure(await scene.run(to), { status: 1, code: 'server_error', message: /"one"/, hint: /^$/ });
      });
    }));
});
