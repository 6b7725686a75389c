import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compareDatabases, compareImages, readDatabaseImage } from '../../../bench/equality.js';
import { withDatabase } from '../../support/database.js';
import { sharedCluster } from '../../support/shared-cluster.js';

const content = `
CREATE TABLE t (id int PRIMARY KEY, note text, b bytea);
INSERT INTO t SELECT n, 'note ' || n, decode(md5(n::text), 'hex') FROM generate_series(1, 100) n;
CREATE SEQUENCE s; SELECT setval('s', 41);
CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t;
SELECT lo_from_bytea(77, 'large');`;

const changes: readonly (readonly [kind: string, sql: string])[] = [
  ['rows', "UPDATE t SET note = 'other' WHERE id = 50"],
  ['rows', 'DELETE FROM t WHERE id = 100'],
  ['rows', 'REFRESH MATERIALIZED VIEW m WITH NO DATA'],
  ['schema', 'ALTER TABLE t ADD CHECK (id > 0)'],
  ['sequence', "SELECT nextval('s')"],
  ['large object', "SELECT lo_put(77, 0, 'LARGE')"],
];

describe('compareDatabases', () => {
  it('finds nothing in two equal databases, and then every change by its kind', async () => {
    const cluster = await sharedCluster();
    await withDatabase(cluster, (one) =>
      withDatabase(cluster, async (two) => {
        await cluster.psql(one, content);
        await cluster.psql(two, content);
        const image = await readDatabaseImage(cluster, one);
        let before = await readDatabaseImage(cluster, two);
        assert.deepEqual(compareImages(image, before), []);
        for (const [kind, sql] of changes) {
          await cluster.psql(two, sql);
          const after = await readDatabaseImage(cluster, two);
          assert.deepEqual([...new Set(compareImages(before, after).map((difference) => difference.kind))], [kind], sql);
          assert.notDeepEqual(compareImages(image, after), []);
          before = after;
        }
      }),
    );
  });

  it('finds another encoding', async () => {
    const cluster = await sharedCluster();
    await withDatabase(cluster, (one) =>
      withDatabase(
        cluster,
        async (two) => {
          const differences = await compareDatabases(cluster, one, two);
          assert.deepEqual(
            differences.filter(({ kind }) => kind === 'setting').map(({ object, a, b }) => [object, a, b]),
            [['encoding', 'UTF8', 'SQL_ASCII']],
          );
        },
        "TEMPLATE template0 ENCODING 'SQL_ASCII'",
      ),
    );
  });
});
