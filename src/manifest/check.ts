import { DbbackupError } from '../core/errors.js';
import { sumDigests } from './digest.js';
import type {
  Manifest,
  ManifestDatabase,
  ManifestFile,
  ManifestLargeObjects,
  ManifestRelation,
  ManifestSegment,
  ManifestStream,
} from './schema.js';

/**
 * Proves that what the manifest says fits together: each segment lies in its file and overlaps no other, the segments add up to their relation or stream
 * of large objects, and these to the totals. Writers check before they publish, readers before they believe. Throws `manifest_damaged`.
 * Cost: about 100 bytes a relation and a segment while it runs.
 */
export const checkManifest = (manifest: Manifest): void => {
  const relations = manifest.databases.flatMap((database) => database.relations);
  const streams = manifest.databases.flatMap(({ largeObjects }) => (largeObjects === null ? [] : toStreams(largeObjects)));
  // No copies of relations: a manifest is the largest thing in memory as it is.
  const parts: readonly Parts[] = [...relations, ...streams];
  checkKind(manifest);
  checkFiles(manifest);
  for (const database of manifest.databases) checkDatabase(database);
  checkConsistency(manifest);
  for (const part of parts) checkParts(part, manifest.files);
  checkRanges(parts, manifest.files);
  expectEqual('totals', 'relationCount', manifest.totals.relationCount, relations.length);
  expectEqual('totals', 'fileCount', manifest.totals.fileCount, manifest.files.length);
  for (const field of ['rowCount', 'rawBytes', 'storedBytes'] as const)
    expectEqual('totals', field, manifest.totals[field], sumOf(parts, field));
};

/** A cluster has globals and databases of different names; what is `single` is one database. */
const checkKind = ({ kind, globals, databases, waves }: Manifest): void => {
  if (kind === 'single' && databases.length !== 1) throw damaged(`a backup of a single database holds ${databases.length}`);
  if ((kind === 'cluster') !== (globals !== null))
    throw damaged(`a backup of kind ${kind} has ${globals === null ? 'no' : 'its own'} globals`);
  expectUnique(
    'database',
    databases.map(({ number }) => String(number)),
  );
  expectUnique(
    'database',
    databases.map(({ name }) => JSON.stringify(name)),
  );
  const known = new Set(waves.map(({ number }) => number));
  for (const { name, wave } of databases)
    if (!known.has(wave)) throw damaged(`database ${JSON.stringify(name)} names wave ${wave}, which is not listed`);
};

/** Only what says so is of several snapshots. */
const checkConsistency = ({ consistency, databases }: Manifest): void => {
  if (consistency !== 'mixed' && databases.some(({ snapshots }) => snapshots.length > 1))
    throw damaged(`a database of several snapshots makes the backup mixed, and it says ${consistency}`);
};

const checksumLengths = { 'xxh3-128': 32, sha256: 64 } as const;

const checkFiles = (manifest: Manifest): void => {
  expectUnique(
    'data file',
    manifest.files.map((file) => file.path),
  );
  for (const file of manifest.files) {
    if (file.checksum.length !== checksumLengths[manifest.checksum])
      throw damaged(`the checksum of ${file.path} is no ${manifest.checksum}`);
  }
};

const checkDatabase = (database: ManifestDatabase): void => {
  const snapshots = new Set(database.snapshots.map((snapshot) => snapshot.number));
  expectUnique(
    'relation',
    toKeys(database.relations, ({ oid }) => String(oid)),
  );
  expectUnique(
    'relation',
    toKeys(database.relations, ({ schema, name }) => JSON.stringify([schema, name])),
  );
  for (const relation of database.relations) {
    if (!snapshots.has(relation.snapshot)) throw damaged(`${toTitle(relation)} names snapshot ${relation.snapshot}, which is not listed`);
  }
  const { largeObjects } = database;
  // Both were read under the same snapshot.
  if (largeObjects !== null) expectEqual('large objects', 'objectCount', largeObjects.objectCount, largeObjects.metadata.rowCount);
};

/** A stream of large objects under its title. */
type TitledStream = ManifestStream & { readonly title: string };

/** What has rows in segments. */
type Parts = ManifestRelation | TitledStream;

const toStreams = ({ content, metadata }: ManifestLargeObjects): readonly TitledStream[] => [
  { ...content, title: 'large objects' },
  { ...metadata, title: 'large objects (metadata)' },
];

const checkParts = (relation: Parts, files: readonly ManifestFile[]): void => {
  const title = 'title' in relation ? relation.title : toTitle(relation);
  for (const segment of relation.segments) {
    const file = files[segment.file];
    if (file === undefined) throw damaged(`${title} names data file ${segment.file} of ${files.length}`);
    // No sum of two numbers up to 2^53-1 is formed: it need not be exact.
    if (segment.offset > file.sizeBytes || segment.storedBytes > file.sizeBytes - segment.offset)
      throw damaged(`a segment of ${title} leaves ${file.path}`);
  }
  for (const field of ['rowCount', 'rawBytes', 'storedBytes'] as const)
    expectEqual(title, field, relation[field], sumOf(relation.segments, field));
  expectEqual(title, 'digest', relation.digest, sumDigests(relation.segments.map((segment) => segment.digest)));
};

const checkRanges = (relations: readonly Parts[], files: readonly ManifestFile[]): void => {
  const byFile = new Map<number, ManifestSegment[]>();
  for (const segment of relations.flatMap((relation) => relation.segments)) {
    const segments = byFile.get(segment.file);
    if (segments === undefined) byFile.set(segment.file, [segment]);
    else segments.push(segment);
  }
  for (const [file, segments] of byFile) {
    let end = 0;
    for (const segment of segments.sort((a, b) => a.offset - b.offset || a.storedBytes - b.storedBytes)) {
      if (segment.offset < end) throw damaged(`two segments of ${files[file]?.path ?? file} overlap at byte ${segment.offset}`);
      end = segment.offset + segment.storedBytes;
    }
  }
};

const sumOf = <Field extends string>(items: readonly Readonly<Record<Field, number>>[], field: Field): number =>
  items.reduce((sum, item) => sum + item[field], 0);

const expectEqual = <T extends number | string>(title: string, field: string, stated: T, found: T): void => {
  if (stated !== found) throw damaged(`${title}: ${field} is ${stated}, and its parts make ${found}`);
};

/** One by one, as they are asked for. */
function* toKeys<T>(items: Iterable<T>, toKey: (item: T) => string): Generator<string> {
  for (const item of items) yield toKey(item);
}

const expectUnique = (what: string, keys: Iterable<string>): void => {
  const seen = new Set<string>();
  for (const key of keys) {
    if (seen.has(key)) throw damaged(`${what} ${key} is listed twice`);
    seen.add(key);
  }
};

const toTitle = (relation: ManifestRelation): string => `${relation.schema}.${relation.name}`;

const damaged = (message: string): DbbackupError => new DbbackupError('manifest_damaged', message);
