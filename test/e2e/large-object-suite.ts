import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { backup, type DbbackupError, type Event, restore, show, verify } from 'dbbackup';
import { prelude } from '#src/catalog/prelude.js';
import { toConnectionSpec } from '#src/commands/connect.js';
import { type RestoreLargeObjectsOptions, restoreLargeObjects } from '#src/commands/restore-large-objects.js';
import { noLedger } from '#src/commands/restore-ledger.js';
import { createEmit } from '#src/core/context.js';
import { readManifest } from '#src/manifest/store.js';
import { openLocalStorage } from '#src/storage/local-storage.js';
import { flipBit } from '../faults/support/data-files.js';
import { runChild } from '../support/child.js';
import { type Cluster, quoteIdentifier } from '../support/cluster.js';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';
import { propertiesSql, readLargeObjectContents, readLargeObjects, sizesSql } from './large-object-corpus.js';

/** `start` gives a running cluster; with `isOwn` it is stopped at the end. */
export const describeLargeObjects = (title: string, start: () => Promise<Cluster>, isOwn: boolean): void => {
  describe(title, () => {
    let cluster: Cluster;
    let outputDir: string;
    let id: string;
    const source = uniqueDatabaseName('source');
    // Names that want quoting, in SQL and in an ACL.
    const roles = ['owner', 'Reader "x"', 'wri=ter/', 'andére'].map((stem) => uniqueDatabaseName(stem)) as [string, string, string, string];
    const quotedRoles = roles.map(quoteIdentifier) as [string, string, string, string];

    const connectionTo = (database: string, user?: string) => ({
      database: cluster.uri(database),
      ...(user === undefined ? {} : { user }),
    });

    before(async () => {
      cluster = await start();
      outputDir = await mkdtemp(join(tmpdir(), 'dbbackup-lo-'));
      await cluster.createDatabase(source);
      for (const role of quotedRoles) await cluster.psql('postgres', `CREATE ROLE ${role} LOGIN`);
      await cluster.psql(source, `${sizesSql}${propertiesSql(quotedRoles)}`);
    });

    after(async () => {
      await cluster.dropDatabase(source);
      for (const role of quotedRoles) await cluster.psql('postgres', `DROP ROLE ${role}`);
      await rm(outputDir, { recursive: true, force: true });
      if (isOwn) await cluster.stop();
    });

    /** Restores into a new database, runs `check` and drops it. */
    const restoring = (check: (target: string) => Promise<void>, options: { readonly id?: string; readonly isChecking?: boolean } = {}) =>
      withDatabase(cluster, async (target) => {
        await restore({
          id: options.id ?? id,
          outputDir,
          pgBinDir: cluster.binDir,
          connection: connectionTo(target),
          jobs: 3,
          isChecking: options.isChecking ?? true,
        });
        await check(target);
      });

    test('come back with content, holes, owner, grants and comment, by ranges that cut a large one', async () => {
      const events: Event[] = [];
      const report = await backup(
        { connection: connectionTo(source), outputDir, pgBinDir: cluster.binDir, chunkSizeBytes: 16 * 1024 ** 2, jobs: 3 },
        { onEvent: (event) => events.push(event) },
      );
      id = report.id;
      const names = events.flatMap((event) => (event.type === 'chunk.finished' ? [event.name] : []));
      assert.ok(names.includes('large objects (metadata)'), names.join());
      assert.ok(
        names.some((name) => /^large objects chunk 2\/\d+ \(OIDs 50007 page \d+ to 50007 page \d+\)$/.test(name)),
        names.join(),
      );
      const { manifest } = await show({ id, outputDir });
      const largeObjects = manifest.databases[0]?.largeObjects;
      assert.equal(largeObjects?.objectCount, 22);
      assert.equal(largeObjects?.readMethod, 'pages');
      assert.equal(report.rowCount, (largeObjects?.content.rowCount ?? 0) + 22);
      const verified = await verify({ id, outputDir });
      assert.deepEqual(verified.damage, []);
      assert.equal(verified.rawBytes, report.rawBytes);
      await restoring(async (target) => assert.equal(await readLargeObjects(cluster, target), await readLargeObjects(cluster, source)));
    });

    test('come back by restore.sh', async () => {
      await withDatabase(cluster, async (target) => {
        const { status, stdout, stderr } = await runChild(join(outputDir, id, 'restore.sh'), ['-d', target, '-j', '3'], {
          env: { ...process.env, ...cluster.env(target), PATH: `${cluster.binDir}:${process.env['PATH'] ?? ''}` },
        });
        assert.equal(status, 0, stderr);
        assert.match(stdout, /loading 22 large objects/);
        assert.equal(await readLargeObjects(cluster, target), await readLargeObjects(cluster, source));
      });
      // Without owners and privileges the roles need not exist: their names are in the backup alone.
      await withDatabase(cluster, async (target) => {
        const { status, stderr } = await runChild(join(outputDir, id, 'restore.sh'), ['-d', target, '-O', '-x'], {
          env: { ...process.env, ...cluster.env(target), PATH: `${cluster.binDir}:${process.env['PATH'] ?? ''}` },
        });
        assert.equal(status, 0, stderr);
        assert.equal(await readLargeObjectContents(cluster, target), await readLargeObjectContents(cluster, source));
        assert.equal(
          await cluster.psql(
            target,
            "SELECT count(*) FROM pg_largeobject_metadata WHERE lomowner <> 'postgres'::regrole OR lomacl IS NOT NULL",
          ),
          '0',
        );
      });
    });

    for (const [stream, statement] of [
      ['large objects', "PERFORM lo_put(77, 0, '!')"],
      ['large objects (metadata)', "IF obj_description(77, 'pg_largeobject') IS NULL THEN COMMENT ON LARGE OBJECT 77 IS 'new'; END IF"],
    ]) {
      test(`are compared by --check: ${stream}`, async () => {
        await withDatabase(cluster, async (database) => {
          // An event trigger is restored last, and fires once after that.
          await cluster.psql(
            database,
            `SELECT lo_from_bytea(77, 'as it was'); CREATE FUNCTION interfere() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN ${statement}; END $$;
           CREATE EVENT TRIGGER interferes ON ddl_command_end EXECUTE FUNCTION interfere()`,
          );
          const { id: own } = await backup({ connection: connectionTo(database), outputDir, pgBinDir: cluster.binDir });
          await withDatabase(cluster, async (target) => {
            await assert.rejects(
              restore({ id: own, outputDir, pgBinDir: cluster.binDir, connection: connectionTo(target), isChecking: true }),
              ({ code, details }: DbbackupError) => code === 'content_differs' && details.object === stream,
            );
          });
        });
      });
    }

    test('keep their OIDs: one that is taken ends the restore with its name; owners and grants can be left out', async () => {
      const storage = openLocalStorage(outputDir);
      const manifest = await readManifest(storage, id);
      const largeObjects = manifest.databases[0]?.largeObjects;
      assert.ok(largeObjects !== undefined && largeObjects !== null);
      const emit = createEmit([]);
      const load = (database: string, switches: Partial<RestoreLargeObjectsOptions> = {}) => {
        const worker = {
          key: 'load',
          connection: toConnectionSpec(connectionTo(database), 'test'),
          setupSql: prelude('UTF8', 'write'),
          guardSql: null,
          guardExpected: null,
        };
        return restoreLargeObjects({
          manifest,
          largeObjects,
          steps: ['create', 'write', 'set'],
          storage,
          worker,
          jobs: 2,
          emit,
          ledger: noLedger,
          ...switches,
        });
      };
      await withDatabase(cluster, async (target) => {
        await cluster.psql(target, "SELECT lo_from_bytea(50004, 'mine')");
        await assert.rejects(
          load(target),
          ({ code, message }: DbbackupError) => code === 'target_not_empty' && message.includes('large object 50004 exists already'),
        );
        assert.equal(
          await cluster.psql(target, 'SELECT oid, convert_from(lo_get(oid), $$UTF8$$) FROM pg_largeobject_metadata'),
          '50004|mine',
        );
        await cluster.psql(target, 'SELECT lo_unlink(50004)');
        await load(target, { isOwnerDropped: true });
        assert.equal(await cluster.psql(target, "SELECT count(*) FROM pg_largeobject_metadata WHERE lomowner <> 'postgres'::regrole"), '0');
        assert.match(await cluster.psql(target, 'SELECT lomacl FROM pg_largeobject_metadata WHERE oid = 60002'), /=r\/postgres/);
        await cluster.psql(target, 'SELECT count(lo_unlink(oid)) FROM pg_largeobject_metadata');
        await load(target, { arePrivilegesDropped: true });
        assert.equal(await cluster.psql(target, 'SELECT count(*) FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL'), '0');
        assert.equal(
          await cluster.psql(target, 'SELECT pg_get_userbyid(lomowner) FROM pg_largeobject_metadata WHERE oid = 60001'),
          roles[0],
        );
      });
    });

    test('that were damaged on the disk are found by verify, and none of the segment is restored', async () => {
      const { manifest } = await show({ id, outputDir });
      const segment = manifest.databases[0]?.largeObjects?.content.segments[1];
      assert.ok(segment !== undefined);
      const path = join(outputDir, id, manifest.files[segment.file]?.path ?? '');
      await flipBit(path, segment.offset + Math.floor(segment.storedBytes * 0.7));
      try {
        const { damage } = await verify({ id, outputDir });
        assert.ok(
          damage.some(({ relation, kind }) => relation === 'large objects' && kind !== 'checksum'),
          JSON.stringify(damage),
        );
        await withDatabase(cluster, async (target) => {
          await assert.rejects(
            restore({ id, outputDir, pgBinDir: cluster.binDir, connection: connectionTo(target) }),
            ({ code, details }: DbbackupError) => code === 'data_damaged' && /^large objects segment 2\/\d+$/.test(details.object ?? ''),
          );
          // The others were loaded, this one not in part.
          const rowCount = (manifest.databases[0]?.largeObjects?.content.rowCount ?? 0) - segment.rowCount;
          assert.equal(await cluster.psql(target, 'SELECT count(*) FROM pg_largeobject'), String(rowCount));
          assert.equal(await cluster.psql(target, 'SELECT count(*) FROM pg_largeobject_metadata'), '22');
        });
      } finally {
        await flipBit(path, segment.offset + Math.floor(segment.storedBytes * 0.7));
      }
    });

    test('of a role that does not exist at the target: the error names role and object', async () => {
      const [owner] = quotedRoles;
      const away = quoteIdentifier(`${roles[0]} away`);
      await cluster.psql('postgres', `ALTER ROLE ${owner} RENAME TO ${away}`);
      try {
        await withDatabase(cluster, async (target) => {
          await assert.rejects(
            restore({ id, outputDir, pgBinDir: cluster.binDir, connection: connectionTo(target) }),
            ({ code, message }: DbbackupError) =>
              code === 'role_missing' && message.includes(roles[0]) && message.includes('large object 60001'),
          );
          assert.equal(await cluster.psql(target, 'SELECT count(*) FROM pg_largeobject_metadata'), '0');
        });
      } finally {
        await cluster.psql('postgres', `ALTER ROLE ${away} RENAME TO ${owner}`);
      }
    });

    test('are read through their functions by a role that may not read pg_largeobject, and named where it may not read them at all', async () => {
      const [, , , quotedRole] = quotedRoles;
      const role = roles[3];
      await assert.rejects(
        backup({ connection: connectionTo(source, role), outputDir, pgBinDir: cluster.binDir }),
        ({ code, message, hint }: DbbackupError) =>
          code === 'permission_denied' &&
          /may not read large objects 50000, 50001, .* and \d+ more$/.test(message) &&
          hint?.includes(`GRANT SELECT ON LARGE OBJECT 50000, 50001, 50002, 50003, 50004 TO ${quotedRole};`) === true,
      );
      await cluster.psql(
        source,
        `DO $do$ DECLARE o record; BEGIN FOR o IN SELECT oid FROM pg_largeobject_metadata LOOP
         EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO %I', o.oid, ${`'${role.replaceAll("'", "''")}'`}); END LOOP; END $do$`,
      );
      const report = await backup({ connection: connectionTo(source, role), outputDir, pgBinDir: cluster.binDir, jobs: 3 });
      const { manifest } = await show({ id: report.id, outputDir });
      assert.equal(manifest.databases[0]?.largeObjects?.readMethod, 'functions');
      assert.deepEqual((await verify({ id: report.id, outputDir })).damage, []);
      await restoring(
        async (target) => {
          assert.equal(await readLargeObjectContents(cluster, target), await readLargeObjectContents(cluster, source));
          const sql =
            'SELECT oid, lomowner, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(lomacl) a) FROM pg_largeobject_metadata ORDER BY oid';
          assert.equal(await cluster.psql(target, sql), await cluster.psql(source, sql));
        },
        { id: report.id },
      );
    });

    test('leave no archive of their own behind', async () => {
      assert.deepEqual((await readdir(join(outputDir, id))).sort(), [
        'data',
        'journal.ndjson',
        'manifest.json',
        'manifest.sha256',
        'restore',
        'restore.sh',
        'schema',
      ]);
    });
  });
};
