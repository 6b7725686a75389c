import { join } from 'node:path';
import { runChild } from '../support/child.js';
import type { Cluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { withoutConnectionEnv } from '../support/login.js';

/** What a database holds, as lines that are equal exactly when the databases are. Shares no code with dbbackup. */
export type Image = readonly string[];

const parse = (output: string): readonly string[] => output.split('\n').filter((line) => line !== '');

const settings = `SET search_path = ''; SET client_min_messages = warning; SET bytea_output = 'hex';`;

/** A statement for each sequence. */
const sequencesSql = `
SELECT format('SELECT %L || last_value || '' '' || is_called FROM %1$s;', 'sequence ' || format('%I.%I', n.nspname, c.relname) || ' ', format('%I.%I', n.nspname, c.relname))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND c.relpersistence <> 't' ORDER BY 1;`.replaceAll(
  '%1$s',
  '%2$s',
);

/** The content through lo_get: how many pages hold it is nobody's business. */
const largeObjectsSql = `
SELECT json_build_array('large object', m.oid, pg_get_userbyid(m.lomowner), md5(lo_get(m.oid)), length(lo_get(m.oid)), obj_description(m.oid, 'pg_largeobject'),
  (SELECT string_agg(l.provider || ' ' || l.label, ', ' ORDER BY l.provider) FROM pg_seclabel l WHERE l.classoid = 'pg_largeobject'::regclass AND l.objoid = m.oid),
  (SELECT string_agg(concat_ws(' ', pg_get_userbyid(a.grantor), coalesce(nullif(a.grantee, 0)::regrole::text, 'public'), a.privilege_type, a.is_grantable), ', '
     ORDER BY pg_get_userbyid(a.grantor), a.grantee::regrole::text, a.privilege_type, a.is_grantable)
   FROM aclexplode(coalesce(m.lomacl, acldefault('L', m.lomowner))) a))
FROM pg_largeobject_metadata m ORDER BY m.oid;`;

const databaseSql = `
SELECT json_build_array('database', pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba)) FROM pg_database WHERE datname = current_database();`;

/** Which materialised views hold rows, which no definition tells. */
const populatedSql = `
SELECT json_build_array('materialised view', c.oid::regclass::text, c.relispopulated) FROM pg_class c WHERE c.relkind = 'm' ORDER BY c.oid::regclass::text;`;

/** Partitions whose rows the target may put into another one: a materialised view holds all of them. */
const isRehashed = (table: string): boolean => /^partitions\.rehashed_(text_)?\d/.test(table);

/** Rows, sequences, large objects and settings. */
export const readContent = async (cluster: Cluster, database: string): Promise<Image> => {
  const sequences = await cluster.psql(database, `${settings}${sequencesSql}`);
  const rest = await cluster.psql(database, `${settings}${sequences}${largeObjectsSql}${databaseSql}${populatedSql}`);
  const rows = await tableFingerprints(cluster, database);
  return [
    ...[...rows].filter(([name]) => !isRehashed(name)).map(([name, fingerprint]) => `rows of ${name}: ${fingerprint}`),
    ...parse(rest),
  ];
};

const envOf = (cluster: Cluster, database: string) => ({ ...withoutConnectionEnv(process.env), ...cluster.env(database) });

const run = async (cluster: Cluster, database: string, tool: string, args: readonly string[], input?: string): Promise<string> => {
  const { status, stdout, stderr } = await runChild(join(cluster.binDir, tool), args, {
    env: envOf(cluster, database),
    ...(input === undefined ? {} : { input }),
  });
  if (status !== 0) throw new Error(`${tool} of ${database} ended with status ${status}: ${stderr.slice(0, 2000)}`);
  return stdout;
};

/** Random from one run of pg_dump to the next. */
const isAccidental = (line: string): boolean => /^\\(un)?restrict /.test(line);
/** Of pg_dump 17 and newer, unknown to older servers. */
const isUnknownSetting = (line: string): boolean => line === 'SET transaction_timeout = 0;';

/** Definitions as the pg_dump of the cluster's own version writes them. */
export const readDefinitions = async (cluster: Cluster, database: string): Promise<Image> => {
  const text = await run(cluster, database, 'pg_dump', ['--schema-only', database]);
  return text.split('\n').filter((line) => !isAccidental(line));
};

/**
 * Definitions as they are once pg_dump and psql have brought them from one database into a new one of another cluster: what a restore is measured by, also where that
 * differs from the source, as the order of inherited columns does.
 */
export const readReference = async (source: Cluster, database: string, target: Cluster, databaseOptions: string): Promise<Image> => {
  const dump = await run(source, database, 'pg_dump', ['--schema-only', database]);
  const reference = uniqueDatabaseName('reference');
  await target.createDatabase(reference, databaseOptions);
  const sql = dump
    .split('\n')
    .filter((line) => !isAccidental(line) && !isUnknownSetting(line))
    .join('\n');
  await run(target, reference, 'psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-'], sql);
  const definitions = await readDefinitions(target, reference);
  await dropWithSubscriptions(target, reference);
  return definitions;
};

/** A database with subscriptions cannot be dropped. */
export const dropWithSubscriptions = async (cluster: Cluster, database: string): Promise<void> => {
  const sql =
    "SELECT format('DROP SUBSCRIPTION %I;', subname) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
  for (const statement of parse(await cluster.psql(database, sql))) await cluster.psql(database, statement);
  await cluster.dropDatabase(database);
};

/** Lines that only one of two images has, at most forty of each, with their side. */
export const compareLines = (expected: Image, actual: Image): readonly string[] => {
  const only = (side: string, lines: Image, others: Image): readonly string[] => {
    const counts = new Map<string, number>();
    for (const line of others) counts.set(line, (counts.get(line) ?? 0) + 1);
    const found: string[] = [];
    for (const line of lines) {
      const count = counts.get(line) ?? 0;
      if (count === 0) found.push(`${side}: ${line.slice(0, 500)}`);
      else counts.set(line, count - 1);
    }
    return found.slice(0, 40);
  };
  const differences = [...only('expected', expected, actual), ...only('restored', actual, expected)];
  // Equal lines in another order differ, too.
  const isReordered = differences.length === 0 && expected.some((line, index) => line !== actual[index]);
  return isReordered ? ['the same lines in another order'] : differences;
};
