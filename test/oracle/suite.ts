import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Cluster, startCluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { createCorpusRoles, fillThemes, highBytesTheme, type Theme, themes } from './corpus.js';
import { backUp, restoreAndCompare, restoreByScriptAndCompare, type Subject } from './prove.js';

/** Databases of the corpus: encoding and themes. */
const databases: readonly { readonly name: string; readonly options: string; readonly themes: readonly Theme[] }[] = [
  { name: 'UTF8', options: 'TEMPLATE template0', themes },
  { name: 'LATIN1', options: "TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", themes: [highBytesTheme] },
  { name: 'SQL_ASCII', options: "TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'", themes: [highBytesTheme] },
];

export interface OracleRun {
  readonly version: number;
  /** Major versions of the servers to restore into. */
  readonly targets: readonly number[];
}

/** Declares the tests that back the corpus up from a server of one version and restore it into servers of others, by dbbackup and by restore.sh. */
export const describeCorpus = ({ version, targets }: OracleRun): void => {
  describe(`the corpus on PostgreSQL ${version}`, () => {
    const clusters = new Map<number, Cluster>();
    let outputDir: string;

    const clusterOf = (wanted: number): Cluster => {
      const cluster = clusters.get(wanted);
      assert.ok(cluster !== undefined);
      return cluster;
    };

    before(async () => {
      outputDir = await mkdtemp(join(tmpdir(), 'dbbackup-oracle-'));
      for (const wanted of new Set([version, ...targets])) {
        const cluster = await startCluster({ version: wanted });
        clusters.set(wanted, cluster);
        await createCorpusRoles(cluster);
      }
    });

    after(async () => {
      for (const cluster of clusters.values()) await cluster.stop();
      await rm(outputDir, { recursive: true, force: true });
    });

    for (const { name, options, themes: wanted } of databases) {
      describe(`in ${name}`, () => {
        let subject: Subject;

        before(async () => {
          const source = clusterOf(version);
          const database = uniqueDatabaseName('source');
          await source.createDatabase(database, options);
          await fillThemes(source, database, wanted);
          subject = await backUp(source, database, outputDir, {}, options);
        });

        for (const target of targets) {
          it(`is the same in PostgreSQL ${target}`, async () => assert.deepEqual(await restoreAndCompare(subject, clusterOf(target)), []));
        }

        const [scriptTarget] = targets;
        if (scriptTarget !== undefined) {
          it(`is the same in PostgreSQL ${scriptTarget} by restore.sh`, async () =>
            assert.deepEqual(await restoreByScriptAndCompare(subject, clusterOf(scriptTarget)), []));
        }
      });
    }
  });
};
