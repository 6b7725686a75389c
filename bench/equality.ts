import { join } from 'node:path';
import { runChildOrThrow } from '../test/support/child.js';
import type { Cluster } from '../test/support/cluster.js';
import { tableFingerprints } from '../test/support/fingerprints.js';
import { withoutConnectionEnv } from '../test/support/login.js';

/** One way in which two databases differ. */
export interface Difference {
  readonly kind: 'rows' | 'schema' | 'sequence' | 'large object' | 'setting';
  /** The table, sequence, large object or setting, or the line of the schema. */
  readonly object: string;
  /** What each side has; null where it has nothing. */
  readonly a: string | null;
  readonly b: string | null;
}

/** All that a database holds, as text that is equal exactly when the databases are. */
export interface DatabaseImage {
  /** Row count and sums of row hashes of every table and populated materialised view. */
  readonly rows: ReadonlyMap<string, string>;
  readonly sequences: ReadonlyMap<string, string>;
  readonly largeObjects: ReadonlyMap<string, string>;
  readonly settings: ReadonlyMap<string, string>;
  /** Lines of `pg_dump --schema-only`. */
  readonly schema: readonly string[];
}

const sequencesSql = `
SELECT format('SELECT json_build_array(%L, last_value || '' '' || is_called) FROM %1$s;', quote_ident(n.nspname) || '.' || quote_ident(c.relname))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND c.relpersistence <> 't' ORDER BY 1;`;

const largeObjectsSql = `
SELECT json_build_array(m.oid::text, pg_get_userbyid(m.lomowner) || ' ' || coalesce((SELECT array_agg(a::text ORDER BY a::text) FROM unnest(m.lomacl) a)::text, '') || ' ' || coalesce(obj_description(m.oid, 'pg_largeobject'), '') || ' '
  || coalesce((SELECT count(*) || ' ' || md5(string_agg(p.pageno || md5(p.data), ',' ORDER BY p.pageno)) FROM pg_largeobject p WHERE p.loid = m.oid), ''))
FROM pg_largeobject_metadata m;`;

const settingsSql = `
SELECT json_build_array(key, value) FROM pg_database d, json_each_text(json_build_object('encoding', pg_encoding_to_char(encoding),
  'collate', datcollate, 'ctype', datctype, 'owner', pg_get_userbyid(datdba))) WHERE d.datname = current_database();`;

const parsePairs = (lines: string): ReadonlyMap<string, string> =>
  new Map(
    lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as [string, string]),
  );

/** Lines that differ from one pg_dump run to the next: the random keys of `\restrict`. */
const isAccidental = (line: string): boolean => /^\\(un)?restrict /.test(line);

const dumpSchema = async (cluster: Cluster, database: string): Promise<readonly string[]> => {
  const env = { ...withoutConnectionEnv(process.env), ...cluster.env(database) };
  const text = await runChildOrThrow(join(cluster.binDir, 'pg_dump'), ['--schema-only', database], { env });
  return text.split('\n').filter((line) => !isAccidental(line));
};

/** Reads what a database holds by means that share no code with dbbackup: SQL that the server computes, and the stock pg_dump. */
export const readDatabaseImage = async (cluster: Cluster, database: string): Promise<DatabaseImage> => {
  const statements = await cluster.psql(database, sequencesSql);
  return {
    rows: await tableFingerprints(cluster, database),
    sequences: parsePairs(await cluster.psql(database, statements)),
    largeObjects: parsePairs(await cluster.psql(database, largeObjectsSql)),
    settings: parsePairs(await cluster.psql(database, settingsSql)),
    schema: await dumpSchema(cluster, database),
  };
};

const diffMaps = (kind: Difference['kind'], a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): readonly Difference[] =>
  [...new Set([...a.keys(), ...b.keys()])]
    .filter((object) => a.get(object) !== b.get(object))
    .map((object) => ({ kind, object, a: a.get(object) ?? null, b: b.get(object) ?? null }));

/** The first differing line is enough: a lost line shifts all that follow. */
const diffLines = (a: readonly string[], b: readonly string[]): readonly Difference[] => {
  const length = Math.max(a.length, b.length);
  for (let line = 0; line < length; line += 1) {
    if (a[line] !== b[line])
      return [{ kind: 'schema', object: `line ${line + 1} of pg_dump --schema-only`, a: a[line] ?? null, b: b[line] ?? null }];
  }
  return [];
};

/** How two images differ; empty when they are equal. */
export const compareImages = (a: DatabaseImage, b: DatabaseImage): readonly Difference[] => [
  ...diffMaps('rows', a.rows, b.rows),
  ...diffLines(a.schema, b.schema),
  ...diffMaps('sequence', a.sequences, b.sequences),
  ...diffMaps('large object', a.largeObjects, b.largeObjects),
  ...diffMaps('setting', a.settings, b.settings),
];

/** How two databases of one cluster differ; empty when they are equal. */
export const compareDatabases = async (cluster: Cluster, a: string, b: string): Promise<readonly Difference[]> =>
  compareImages(await readDatabaseImage(cluster, a), await readDatabaseImage(cluster, b));

/** One line for people. */
export const formatDifference = ({ kind, object, a, b }: Difference): string =>
  `${kind} of ${object}: ${a ?? 'nothing'} | ${b ?? 'nothing'}`;
