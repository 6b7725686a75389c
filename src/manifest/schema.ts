/** The manifest's shape: `docs/format.md` section 2. What is read is checked strictly; fields nobody knows are ignored. */
import { z } from 'zod';
import { sectionNames } from '../core/selection.js';
import { pathPattern } from '../storage/layout.js';

/** 0 to 2^53-1. */
const count = z.int().min(0);
const positive = z.int().min(1);
const text = z.string();
/** An identifier of the database: not empty, and anything but a zero byte in it. Hostile until quoted. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the zero byte is the one PostgreSQL forbids
const name = z.string().regex(/^[^\u0000]+$/);
const path = z.string().regex(pathPattern);
const time = z.iso.datetime();
const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** Sum modulo 2^128: section 5. */
const digest = z.string().regex(/^[0-9a-f]{32}$/);
const rowFormat = z.enum(['binary', 'text']);
const checksumName = z.enum(['xxh3-128', 'sha256']);
const codec = z.enum(['zstd', 'lz4', 'gzip', 'none']);

export const segmentSchema = z.object({
  file: count.meta({ description: 'index into files' }),
  offset: count,
  storedBytes: count,
  rawBytes: count,
  rowCount: count,
  digest,
});

export const relationSchema = z.object({
  oid: positive,
  schema: name,
  name,
  kind: z
    .string()
    .regex(/^[A-Za-z]$/)
    .meta({ description: 'pg_class.relkind; p holds no rows of its own' }),
  partitionRootOid: positive.nullable(),
  isRootNeeded: z.boolean().meta({ description: 'rows may belong to another partition on another server' }),
  snapshot: count.meta({ description: 'number of the snapshot it was read under' }),
  columns: z.array(name).meta({ description: 'as COPY lists them' }),
  condition: text.nullable(),
  format: rowFormat,
  formatReason: text,
  readMethod: z.enum(['whole', 'ctid-ranges']),
  readReason: text,
  rowCount: count,
  rawBytes: count,
  storedBytes: count,
  digest,
  segments: z.array(segmentSchema),
});

const streamSchema = z.object({ rowCount: count, rawBytes: count, storedBytes: count, digest, segments: z.array(segmentSchema) });

export const largeObjectsSchema = z.object({
  objectCount: positive,
  pageSizeBytes: z
    .int()
    .min(128)
    .max(1024 * 1024)
    .meta({ description: 'what pageno counts: a quarter of the server’s block' }),
  readMethod: z.enum(['pages', 'functions']),
  content: streamSchema.meta({ description: 'rows of pg_largeobject, in binary' }),
  metadata: streamSchema.meta({ description: 'a row for each object, in text' }),
});

export const archiveSchema = z.object({ path, sizeBytes: count, sha256, pgDumpVersion: text });

export const snapshotSchema = z.object({ number: count, id: text, lsn, takenAt: time });

export const sequenceSchema = z.object({
  oid: positive,
  schema: name,
  name,
  ownerOid: positive.nullable().meta({ description: 'the relation that owns it' }),
  lastValue: z.string().regex(/^-?[0-9]{1,19}$/),
  isCalled: z.boolean(),
});

/** What of the databases was chosen, as typed: patterns are psql's. */
export const selectionSchema = z.object({
  tables: z.array(text),
  excludedTables: z.array(text),
  excludedTableData: z.array(text),
  schemas: z.array(text),
  excludedSchemas: z.array(text),
  sections: z.array(z.enum(sectionNames)),
  isUnloggedDataLeftOut: z.boolean(),
});

export const waveSchema = z.object({
  number: positive,
  earliestAt: time.meta({ description: 'when the first of its snapshots was taken' }),
  latestAt: time,
});

export const databaseSchema = z.object({
  number: positive,
  name,
  encoding: z.string().regex(/^[A-Za-z0-9_]{1,63}$/),
  collate: text,
  ctype: text,
  localeProvider: text,
  icuLocale: text.nullable().meta({ description: 'of ICU or of the builtin provider' }),
  icuRules: text.nullable(),
  tablespace: name.meta({ description: 'the default one of the database' }),
  owner: name,
  searchPath: z.array(name).meta({ description: 'schemas that a name without one was searched in' }),
  wave: positive.meta({ description: 'number of the wave whose snapshots were held together with this one' }),
  snapshots: z.array(snapshotSchema),
  schema: archiveSchema,
  largeObjects: largeObjectsSchema.nullable(),
  extensions: z.array(
    z.object({ name, version: text, relationOids: z.array(positive).meta({ description: 'its configuration tables among relations' }) }),
  ),
  roles: z.array(z.object({ name, object: text.nullable().meta({ description: 'one of what needs it, in words' }) })),
  tablespaces: z.array(name),
  schemas: z.array(z.object({ oid: positive, name })),
  relations: z.array(relationSchema),
  otherRelations: z.array(z.object({ oid: positive, schema: name, name, kind: z.string().regex(/^[vmf]$/) })),
  foreignKeys: z.array(
    z.object({ oid: positive, relationOid: positive, refersTo: z.object({ oid: positive, schema: name, name }), isOutward: z.boolean() }),
  ),
  outwardReferences: z.array(
    z.object({
      kind: z.enum(['rule', 'parent', 'trigger']),
      oid: positive,
      relationOid: positive,
      refersTo: z.object({ oid: positive, schema: name, name }),
    }),
  ),
  sequences: z.array(sequenceSchema),
  materializedViews: z.array(z.object({ schema: name, name })),
});

export const fileSchema = z.object({
  path,
  sizeBytes: count,
  checksum: z.string().regex(/^(?:[0-9a-f]{32}|[0-9a-f]{64})$/),
  codec,
  attempt: positive,
});

export const manifestSchema = z.object({
  format: z.literal('dbbackup'),
  formatVersion: z.literal(1),
  id: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,79}$/),
  kind: z.enum(['single', 'cluster']),
  tool: z.object({ name: text, version: text }),
  startedAt: time,
  finishedAt: time,
  consistency: z.enum(['exact', 'exact-after-resume', 'mixed']),
  baseBackupId: z.null(),
  encryption: z.null(),
  options: z.object({
    compression: text,
    chunkSizeBytes: count,
    format: z.enum(['auto', 'binary', 'text']),
    checksum: checksumName,
    jobs: positive,
    isOwnerDropped: z.boolean().meta({ description: 'owners are not to be restored' }),
    arePrivilegesDropped: z.boolean().meta({ description: 'grants are not to be restored' }),
    selection: selectionSchema.nullable().meta({ description: 'null: everything' }),
  }),
  server: z.object({
    version: positive,
    versionText: text,
    systemIdentifier: z
      .string()
      .regex(/^[0-9]{0,20}$/)
      .meta({ description: 'empty where the role was not allowed to read it' }),
    startedAt: text,
  }),
  totals: z.object({ rowCount: count, rawBytes: count, storedBytes: count, relationCount: count, fileCount: count }),
  checksum: checksumName,
  globals: archiveSchema.nullable().meta({ description: 'roles and tablespaces of a cluster' }),
  waves: z.array(waveSchema).min(1),
  databases: z.array(databaseSchema).min(1),
  files: z.array(fileSchema),
});

export type Manifest = DeepReadonly<z.infer<typeof manifestSchema>>;
export type ManifestDatabase = Manifest['databases'][number];
export type ManifestRelation = ManifestDatabase['relations'][number];
export type ManifestSegment = ManifestRelation['segments'][number];
export type ManifestLargeObjects = NonNullable<ManifestDatabase['largeObjects']>;
/** One of its two streams. */
export type ManifestStream = ManifestLargeObjects['content'];
export type ManifestSequence = ManifestDatabase['sequences'][number];
export type ManifestSnapshot = ManifestDatabase['snapshots'][number];
export type ManifestWave = Manifest['waves'][number];
export type ManifestArchive = ManifestDatabase['schema'];
export type ManifestFile = Manifest['files'][number];
export type ManifestOptions = Manifest['options'];

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** The JSON schema published as `docs/manifest.schema.json`; a test keeps that file equal to it. */
export const toJsonSchema = (): unknown => ({
  ...z.toJSONSchema(manifestSchema, { io: 'input', target: 'draft-2020-12' }),
  title: 'Manifest of a dbbackup backup, format version 1',
});
