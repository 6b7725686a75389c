import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { DbbackupError } from '../core/errors.js';
import { sectionNames } from '../core/selection.js';
import { listSplitKeys } from '../manifest/mixed.js';
import { listOutward, listOutwardChildren } from '../manifest/outward.js';
import type { Manifest, ManifestArchive, ManifestDatabase, ManifestRelation } from '../manifest/schema.js';
import { listArchives } from '../manifest/store.js';
import { listFiles } from '../manifest/streams.js';
import { backupNames, isSafePath, nameInBackup } from '../storage/layout.js';
import type { Storage } from '../storage/storage.js';
import { toExistingTableFiles } from './existing-tables.js';
import { toExtensionsSql } from './extensions-sql.js';
import { toLargeObjectFiles } from './large-objects.js';
import { Quoting, toCopyFrom, toFinishSql, toSchemasSql, toSessionSql } from './sql.js';

/** The fixed text. It is no TypeScript, so the compiler leaves it where it is. */
const scriptUrl = new URL('../../src/restore-kit/restore.sh', import.meta.url);

/** SHA-256 of the script, of the files below and of the schema archive, as `sha256sum` prints it. */
export const kitChecksumsPath = `${backupNames.restoreFolder}/sha256sums`;

/** Some 10 lines of 100 bytes for each database. */
const maxChecksumsBytes = 64 * 1024 * 1024;

/**
 * Writes what restores a backup without dbbackup: `restore.sh` and `restore/` (`docs/format.md` section 6). To be called before the manifest is published.
 * The files depend on the manifest alone. Throws what `Storage.publish` throws. Cost: the SQL text of all relations is in memory at once, some 500 bytes each.
 */
export const writeRestoreKit = async (storage: Storage, manifest: Manifest): Promise<void> => {
  const script = await readFile(scriptUrl, 'utf8');
  const files = new Map([[backupNames.restoreScript, script], ...toKitFiles(manifest)] as const);
  // Side by side: each waits for the disk.
  await Promise.all(
    [...files].map(([path, content]) =>
      storage.publish(nameInBackup(manifest.id, path), content, { isExecutable: path === backupNames.restoreScript }),
    ),
  );
  await storage.publish(nameInBackup(manifest.id, kitChecksumsPath), toChecksums(manifest, files));
};

/** What `restore/sha256sums` says, by path; null when it is missing or says anything else: nothing of the kit can be proved then. */
export const readKitChecksums = async (storage: Storage, id: string): Promise<ReadonlyMap<string, string> | null> => {
  const content = await storage.read(nameInBackup(id, kitChecksumsPath), maxChecksumsBytes);
  const lines = content?.toString('latin1').split('\n').slice(0, -1) ?? [];
  const sums = lines.map((line) => /^([0-9a-f]{64}) {2}(.+)$/.exec(line));
  if (sums.length === 0 || sums.some((sum) => sum === null || !isSafePath(sum[2] ?? ''))) return null;
  return new Map(sums.map((sum) => [sum?.[2] ?? '', sum?.[1] ?? '']));
};

/** Files of the kit that differ from backup to backup, by path. Pure. */
export const toKitFiles = (manifest: Manifest): ReadonlyMap<string, string> => {
  const folder = backupNames.restoreFolder;
  return new Map([
    [`${folder}/config`, toConfig(manifest)],
    [`${folder}/databases.tsv`, manifest.databases.map(toDatabaseLine).join('')],
    ...manifest.databases.flatMap((database) => toDatabaseFiles(manifest, database)),
  ]);
};

/** What is read to restore one database. */
const toDatabaseFiles = (manifest: Manifest, database: ManifestDatabase): readonly (readonly [string, string])[] => {
  const quoting = new Quoting(database.encoding);
  const { statements, segments } = toLoadFiles(manifest, database, quoting);
  const folder = `${backupNames.restoreFolder}/${String(database.number).padStart(4, '0')}`;
  const used = listFiles(database);
  return [
    [`${folder}/config`, toDatabaseConfig(manifest, database, segments.length)],
    [`${folder}/name`, `dbname='${database.name.replace(/[\\']/g, '\\$&')}'\n`],
    [`${folder}/exists.sql`, `SELECT pg_catalog.count(*) FROM pg_catalog.pg_database WHERE datname = ${ascii.literal(database.name)};\n`],
    [`${folder}/session.sql`, toSessionSql(database.encoding)],
    [`${folder}/statements.sql`, statements],
    [`${folder}/segments.tsv`, segments.join('')],
    [`${folder}/finish.sql`, toFinishSql(quoting, database)],
    ...(database.extensions.length === 0 ? [] : [[`${folder}/extensions.sql`, toExtensionsSql(quoting, database)] as const]),
    ...(areSchemasNamed(manifest) ? [[`${folder}/schemas.sql`, toSchemasSql(quoting, database)] as const] : []),
    ...(hasDefinitions(manifest)
      ? []
      : [...toExistingTableFiles(quoting, database)].map(([name, content]) => [`${folder}/${name}`, content] as const)),
    ...[...toLargeObjectFiles(database.largeObjects, manifest.files)].map(([name, content]) => [`${folder}/${name}`, content] as const),
    [
      `${folder}/checksums`,
      manifest.files.flatMap((file, index) => (used.has(index) ? [`${file.checksum}  ${file.path}\n`] : [])).join(''),
    ],
  ];
};

/** For a session whose encoding nobody knows beforehand. */
const ascii = new Quoting('UTF8');

/** For people: the name is written as SQL, in ASCII. */
const toDatabaseLine = ({ number, name }: ManifestDatabase): string => `${number}\t${ascii.identifier(name)}\n`;

interface Range {
  readonly offset: number;
  readonly length: number;
}

const noRange: Range = { offset: 0, length: 0 };

/** The statements, and one line for each segment, largest first so that the last ones to run are short. */
const toLoadFiles = (
  manifest: Manifest,
  database: ManifestDatabase,
  quoting: Quoting,
): { readonly statements: string; readonly segments: readonly string[] } => {
  const statements: string[] = [];
  let end = 0;
  const add = (statement: string): Range => {
    const range = { offset: end, length: Buffer.byteLength(statement) };
    statements.push(statement);
    end += range.length;
    return range;
  };
  const byOid = new Map(database.relations.map((relation) => [relation.oid, relation]));
  const lines: { readonly rawBytes: number; readonly line: string }[] = [];
  for (const relation of database.relations) {
    if (relation.segments.length === 0) continue;
    const root = relation.partitionRootOid === null ? undefined : byOid.get(relation.partitionRootOid);
    const own = add(toCopyFrom(quoting, relation, relation.isRootNeeded ? root : undefined));
    const throughRoot = root === undefined ? noRange : add(toCopyFrom(quoting, relation, root));
    for (const line of toSegmentLines(manifest, relation, own, throughRoot)) lines.push(line);
  }
  return { statements: statements.join(''), segments: lines.sort((a, b) => b.rawBytes - a.rawBytes).map(({ line }) => line) };
};

const toSegmentLines = (
  manifest: Manifest,
  relation: ManifestRelation,
  own: Range,
  throughRoot: Range,
): { readonly rawBytes: number; readonly line: string }[] =>
  relation.segments.map((segment) => {
    const file = manifest.files[segment.file];
    if (file === undefined) throw new DbbackupError('internal', `${relation.schema}.${relation.name} names data file ${segment.file}`);
    const { offset, storedBytes, rowCount, rawBytes } = segment;
    const fields = [file.path, offset, storedBytes, file.codec, own.offset, own.length, rowCount, throughRoot.offset, throughRoot.length];
    return { rawBytes, line: `${fields.join('\t')}\n` };
  });

/** KEY=value; every value has a form of its own that restore.sh insists on. */
const toConfig = (manifest: Manifest): string =>
  toLines([
    'FORMAT=1',
    `DATABASES=${manifest.databases.length}`,
    `GLOBALS=${manifest.globals?.path ?? ''}`,
    `CHECKSUM=${manifest.checksum}`,
    `JOBS=${Math.min(manifest.options.jobs, 999)}`,
    `SERVER_MAJOR=${Math.floor(manifest.server.version / 10_000)}`,
    `PG_DUMP_MAJOR=${Math.max(...manifest.databases.map(({ schema }) => toMajor(schema)))}`,
  ]);

const toDatabaseConfig = (manifest: Manifest, database: ManifestDatabase, segmentCount: number): string =>
  toLines([
    `ENCODING=${database.encoding}`,
    `SCHEMA=${database.schema.path}`,
    `LARGE_OBJECTS=${database.largeObjects?.objectCount ?? 0}`,
    `LARGE_OBJECT_SEGMENTS=${countSegments(database.largeObjects)}`,
    `OWNERS=${manifest.options.isOwnerDropped ? 'no' : 'yes'}`,
    `PRIVILEGES=${manifest.options.arePrivilegesDropped ? 'no' : 'yes'}`,
    `DEFINITIONS=${hasDefinitions(manifest) ? 'yes' : 'no'}`,
    `OUTWARD=${[...listOutward(database), ...listSplitKeys(database).map(({ oid }) => `2606:${oid}`)].join(' ')}`,
    `OUTWARD_CHILDREN=${listOutwardChildren(database).join(' ')}`,
    `SCHEMAS=${areSchemasNamed(manifest) ? 'yes' : 'no'}`,
    `SEGMENTS=${segmentCount}`,
    `ROWS=${database.relations.reduce((sum, { rowCount }) => sum + rowCount, 0)}`,
  ]);

const hasDefinitions = ({ options }: Manifest): boolean => (options.selection?.sections ?? sectionNames).includes('pre-data');

/** An archive of named schemas makes each, also `public`, which almost any database has; one of everything does not. */
const areSchemasNamed = ({ options }: Manifest): boolean => (options.selection?.schemas.length ?? 0) > 0;

const countSegments = (largeObjects: ManifestDatabase['largeObjects']): number =>
  largeObjects === null ? 0 : largeObjects.content.segments.length + largeObjects.metadata.segments.length;

const toLines = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

const toMajor = (archive: ManifestArchive): number => {
  const major = /[0-9]{1,3}/.exec(archive.pgDumpVersion)?.[0];
  if (major === undefined) throw new DbbackupError('internal', `"${archive.pgDumpVersion}" is no version of pg_dump`);
  return Number(major);
};

const toChecksums = (manifest: Manifest, files: ReadonlyMap<string, string>): string => {
  const lines = [...files].map(([path, content]) => [createHash('sha256').update(content).digest('hex'), path] as const);
  const archives = listArchives(manifest).map(({ sha256, path }) => [sha256, path] as const);
  return [...lines, ...archives].map(([digest, path]) => `${digest}  ${path}\n`).join('');
};
