import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { show } from 'dbbackup';
import { expectFailure, expectSuccess } from '../faults/support/failure.js';
import { withScene } from '../faults/support/scene.js';
import { withDatabase } from '../support/database.js';

/** Hash of an enum is hash of its OID, which another database gives anew: there most rows belong to another partition. */
const sql = `
CREATE TYPE mood AS ENUM ('m1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7', 'm8', 'm9', 'm10', 'm11', 'm12');
CREATE TABLE feelings (id int, m mood, note text, PRIMARY KEY (id, m)) PARTITION BY HASH (m);
CREATE TABLE feelings_0 PARTITION OF feelings FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE feelings_1 PARTITION OF feelings FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE feelings_2 (note text, m mood NOT NULL, id int NOT NULL);
ALTER TABLE feelings ATTACH PARTITION feelings_2 FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE feelings_3 PARTITION OF feelings FOR VALUES WITH (MODULUS 4, REMAINDER 3) PARTITION BY LIST (id);
CREATE TABLE feelings_3_all PARTITION OF feelings_3 DEFAULT;
INSERT INTO feelings SELECT i, ('m' || i % 12 + 1)::mood, 'n' || i FROM generate_series(1, 40000) i;
CREATE TABLE plain (id int, note text) PARTITION BY HASH (note);
CREATE TABLE plain_0 PARTITION OF plain FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE plain_1 PARTITION OF plain FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO plain SELECT i, 'n' || i FROM generate_series(1, 1000) i;
CREATE COLLATION nocase (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE TABLE folded (note text COLLATE nocase) PARTITION BY HASH (note);
CREATE TABLE folded_0 PARTITION OF folded FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO folded VALUES ('a'), ('B');
CREATE TABLE moods (id int, ms mood[]) PARTITION BY HASH (ms);
CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 1, REMAINDER 0);
`;
const digest = "SELECT count(*), sum(hashtext(id || ' ' || m || ' ' || note)::bigint) FROM feelings";

describe('partitions are loaded through their root', () => {
  test('where hash partitions make it necessary, by several tasks at a time', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp(['--chunk-size', '1MB']);
      const { manifest } = await show({ id, outputDir: scene.repository });
      const needed = manifest.databases[0]?.relations.filter(({ isRootNeeded }) => isRootNeeded).map(({ name }) => name);
      assert.deepEqual(needed?.sort(), ['feelings_0', 'feelings_1', 'feelings_2', 'feelings_3', 'feelings_3_all', 'folded_0', 'moods_0']);
      await withDatabase(scene.cluster, async (target) => {
        // A type made before gives the enum other OIDs than in the source, whatever those were.
        expectSuccess(await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--jobs', '6', '--check']));
        assert.equal(await scene.cluster.psql(target, digest), await scene.cluster.psql(scene.database, digest));
        assert.notEqual(
          await scene.cluster.psql(target, 'SELECT count(*) FROM feelings_0'),
          await scene.cluster.psql(scene.database, 'SELECT count(*) FROM feelings_0'),
          'rows have gone to other partitions, else this test shows nothing',
        );
        // Into tables that exist, with their primary keys.
        await scene.cluster.psql(target, 'TRUNCATE feelings, plain, folded');
        expectSuccess(
          await scene.run(['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--jobs', '6', '--data-only', '--check']),
        );
        assert.equal(await scene.cluster.psql(target, digest), await scene.cluster.psql(scene.database, digest));
      });
    }));

  test('or where it is asked for', () =>
    withScene(sql, async (scene) => {
      const id = await scene.backUp(['-n', 'public']);
      await withDatabase(scene.cluster, async (target) => {
        const to = ['restore', 'single', id, '--target-db', scene.cluster.uri(target), '--data-only', '-t', 'plain*'];
        // The target has cut the table otherwise.
        await scene.cluster.psql(
          target,
          `CREATE TABLE plain (id int, note text) PARTITION BY RANGE (id); CREATE TABLE plain_0 PARTITION OF plain FOR VALUES FROM (0) TO (700);
           CREATE TABLE plain_1 PARTITION OF plain FOR VALUES FROM (700) TO (2000);`,
        );
        expectFailure(await scene.run(to), { status: 1, code: 'server_error', message: /violates partition constraint/, hint: /.*/ });
        await scene.cluster.psql(target, 'TRUNCATE plain');
        expectSuccess(await scene.run([...to, '--load-via-partition-root', '--check']));
        assert.equal(await scene.cluster.psql(target, 'SELECT count(*), max(id) FROM plain_0'), '699|699');
      });
    }));
});
