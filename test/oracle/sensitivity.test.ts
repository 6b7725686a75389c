import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Cluster, startCluster } from '../support/cluster.js';
import { createCorpusRoles, fillThemes, highBytesTheme, listThemes, themes } from './corpus.js';
import { compareLines, type Image, readContent, readDefinitions } from './image.js';

/** What a restore could get wrong; each must show. */
const losses: readonly (readonly [what: string, sql: string, expected: RegExp])[] = [
  ['a row', 'DELETE FROM relations.plain WHERE id = 1', /rows of relations\.plain/],
  ['a NULL', "ALTER TABLE relations.dropped_between ALTER later TYPE text USING coalesce(later, '')", /rows of relations\.dropped_between/],
  ['a byte', "ALTER TABLE edges.bytes ALTER b TYPE bytea USING CASE id WHEN 3 THEN '\\x01' ELSE b END", /rows of edges\.bytes/],
  ['a row without columns', 'INSERT INTO relations.no_columns DEFAULT VALUES', /rows of relations\.no_columns/],
  ['a sequence’s value', "SELECT setval('relations.called', 1)", /sequence relations\.called/],
  ['is_called', "SELECT setval('relations.reset_back', 4242, true)", /sequence relations\.reset_back/],
  ['the rows of a materialised view', 'REFRESH MATERIALIZED VIEW views.hollow', /views\.hollow/],
  ['a large object', 'SELECT lo_unlink(100005)', /large object.*100005/],
  ['a byte of a large object', "SELECT lo_put(100001, 0, 'A')", /large object.*100001/],
  ['the owner of a large object', 'ALTER LARGE OBJECT 100002 OWNER TO oracle_owner', /large object.*100002/],
  ['a grant on a large object', 'REVOKE SELECT ON LARGE OBJECT 100002 FROM PUBLIC', /large object.*100002/],
  ['a comment on a large object', 'COMMENT ON LARGE OBJECT 100003 IS NULL', /large object.*100003/],
  [
    'a grant',
    'REVOKE INSERT ON access.granted FROM oracle_reader CASCADE',
    /expected: GRANT .*INSERT.* ON TABLE access\.granted TO oracle_reader/,
  ],
  ['a comment', 'COMMENT ON TABLE access.granted IS NULL', /expected: COMMENT ON TABLE access\.granted/],
  ['an index', 'DROP INDEX relations.plain_partial', /plain_partial/],
  ['the validity of a constraint', 'ALTER TABLE relations.plain VALIDATE CONSTRAINT not_forty_two', /NOT VALID/],
  [
    'a default privilege',
    'ALTER DEFAULT PRIVILEGES FOR ROLE oracle_owner IN SCHEMA access REVOKE SELECT ON TABLES FROM oracle_reader',
    /DEFAULT PRIVILEGES/,
  ],
  ['a replica identity', 'ALTER TABLE replication.full_rows REPLICA IDENTITY DEFAULT', /REPLICA IDENTITY FULL/],
  ['a state of a trigger', 'ALTER TABLE programs.triggered ENABLE TRIGGER late_check', /late_check/],
];

describe('the oracle', () => {
  let cluster: Cluster;
  let image: Image;
  const read = async (): Promise<Image> => [...(await readContent(cluster, 'corpus')), ...(await readDefinitions(cluster, 'corpus'))];

  before(async () => {
    cluster = await startCluster();
    await createCorpusRoles(cluster);
    await cluster.createDatabase('corpus');
    await fillThemes(cluster, 'corpus', themes);
    image = await read();
  });
  after(() => cluster.stop());

  it('reads the same twice', async () => assert.deepEqual(compareLines(image, await read()), []));

  it('uses every file of the corpus', () => assert.deepEqual([...listThemes()].sort(), [...themes, highBytesTheme].sort()));

  it('tells each of these losses', async () => {
    for (const [, sql] of losses) await cluster.psql('corpus', sql);
    const differences = compareLines(image, await read()).join('\n');
    for (const [what, , expected] of losses) assert.match(differences, expected, what);
  });
});
