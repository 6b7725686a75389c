import { join } from 'node:path';
import type { ChildOptions, ChildOutcome } from '../../support/child.js';
import { runCli } from '../../support/cli.js';
import type { Cluster } from '../../support/cluster.js';
import { withDatabase } from '../../support/database.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';
import { expectSuccess } from './failure.js';

/** A database with something in it, and a place for a repository. */
export interface Scene {
  readonly cluster: Cluster;
  readonly database: string;
  /** A directory of its own, gone afterwards. */
  readonly base: string;
  /** Does not exist at first. */
  readonly repository: string;
  /** Runs `dbbackup` quietly on the repository. */
  run(args: readonly string[], options?: ChildOptions): Promise<ChildOutcome>;
  /** Backs the database up and gives the ID. */
  backUp(options?: readonly string[]): Promise<string>;
  /** Directory of a backup. */
  directoryOf(id: string): string;
}

/** Two tables of 100 rows, one of them in binary. */
export const smallSql = `
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO orders SELECT i, md5(i::text) FROM generate_series(1, 100) i;
CREATE TABLE files (id int PRIMARY KEY, body bytea);
INSERT INTO files SELECT i, decode(md5(i::text), 'hex') FROM generate_series(1, 100) i;
`;

/** Runs `fn` with a scene whose database was filled by `sql`. Default cluster: the one of the test run. */
export const withScene = async (
  sql: string,
  fn: (scene: Scene) => Promise<void>,
  options: { readonly cluster?: Cluster; readonly databaseOptions?: string } = {},
): Promise<void> => {
  const cluster = options.cluster ?? (await sharedCluster());
  await withTemporaryDirectory((base) =>
    withDatabase(
      cluster,
      async (database) => {
        await cluster.psql(database, sql);
        const repository = join(base, 'repository');
        const run: Scene['run'] = (args, childOptions) => runCli([...args, '--output-dir', repository, '--quiet'], childOptions);
        const backUp: Scene['backUp'] = async (args = []) =>
          expectSuccess(await run(['backup', 'single', cluster.uri(database), ...args])).trim();
        await fn({ cluster, database, base, repository, run, backUp, directoryOf: (id) => join(repository, id) });
      },
      options.databaseOptions,
    ),
  );
};
