import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootDir } from '../support/cli.js';
import type { Cluster } from '../support/cluster.js';
import { supportedVersions } from '../support/postgres-programs.js';

const directory = join(rootDir, 'test/oracle/corpus');

/** Themes that fill one database of encoding UTF8, in an order in which each finds what it mentions. */
export const themes = [
  'relations',
  'partitions',
  'types',
  'values',
  'views',
  'access',
  'programs',
  'replication',
  'foreign',
  'extensions',
  'names',
  'large-objects',
] as const;

/** The theme for databases of other encodings. */
export const highBytesTheme = 'bytes-above-127';

export type Theme = (typeof themes)[number] | typeof highBytesTheme;

/** All files of the corpus, by name. */
export const listThemes = (): readonly string[] => readdirSync(directory).map((name) => name.replace(/\.sql$/, ''));

/** Roles that the corpus grants to; they must be there before, and at the target of a restore, too. */
export const createCorpusRoles = async (cluster: Cluster): Promise<void> => {
  await cluster.psql('postgres', `CREATE ROLE oracle_owner; CREATE ROLE oracle_reader LOGIN; CREATE ROLE "Rôle ""odd"" 'x'"`);
};

/** Variables of psql that the files use: `from_15` and the like for what older servers lack. */
const toVariables = (version: number): string =>
  [...supportedVersions.map((from) => `\\set from_${from} ${version >= from ? 'on' : 'off'}\n`), '\\set last_character 1114111\n'].join('');

/** Fills a database with some themes. */
export const fillThemes = async (cluster: Cluster, database: string, wanted: readonly Theme[]): Promise<void> => {
  for (const theme of wanted) {
    const sql = await readFile(join(directory, `${theme}.sql`), 'utf8');
    await cluster.psql(database, `${toVariables(cluster.version)}${sql}`);
  }
};
