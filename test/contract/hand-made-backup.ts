import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ChecksumName, CodecName, RowFormat } from '#src/core/results.js';
import { zeroDigest } from '#src/manifest/digest.js';
import type {
  Manifest,
  ManifestArchive,
  ManifestLargeObjects,
  ManifestRelation,
  ManifestSegment,
  ManifestStream,
} from '#src/manifest/schema.js';
import { publishManifest } from '#src/manifest/store.js';
import { writeRestoreKit } from '#src/restore-kit/restore-kit.js';
import { dataExtension, schemaPath } from '#src/storage/layout.js';
import { openLocalStorage } from '#src/storage/local-storage.js';
import { type Cluster, quoteIdentifier } from '../support/cluster.js';
import { withoutConnectionEnv } from '../support/login.js';

export interface HandMadeOptions {
  readonly repository: string;
  readonly id: string;
  readonly codec: CodecName;
  readonly checksum: ChecksumName;
  /** Format of a table, by its bare name. */
  readonly formatOf: (table: string) => RowFormat;
  readonly hasLargeObjects?: boolean;
}

/** Runs a stock tool; its input and output are bytes. */
export const runTool = (
  command: string,
  args: readonly string[],
  input: Buffer = Buffer.alloc(0),
  env: NodeJS.ProcessEnv = process.env,
): Buffer => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { input, env, maxBuffer: 2 ** 28 });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ended with status ${status}: ${stderr.toString('utf8')}`);
  return stdout;
};

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** XXH3-128 by the stock tool, where it is installed. */
const toChecksum = (checksum: ChecksumName, path: string, bytes: Buffer): string => {
  if (checksum === 'sha256') return sha256(bytes);
  return spawnSync('xxhsum', ['-H2', path]).stdout?.toString('utf8').slice(0, 32) || zeroDigest;
};

const encoders: Readonly<Record<CodecName, (raw: Buffer) => Buffer>> = {
  zstd: (raw) => runTool('zstd', ['-1', '-c', '-q', '--check'], raw),
  lz4: (raw) => runTool('lz4', ['-1', '-c', '-q', '--content-size'], raw),
  gzip: (raw) => runTool('gzip', ['-1', '-c'], raw),
  none: (raw) => raw,
};

/** A frame with the prefix of format.md section 4; gzip's prefix lies inside its member and is left out here. */
const toFrame = (codec: CodecName, raw: Buffer): Buffer => {
  const encoded = encoders[codec](raw);
  if (codec === 'gzip' || codec === 'none') return encoded;
  const prefix = Buffer.alloc(20);
  prefix.writeUInt32LE(0x184d2a5d, 0);
  prefix.writeUInt32LE(12, 4);
  prefix.writeUInt32LE(encoded.length, 8);
  prefix.writeUInt32LE(raw.length, 12);
  return Buffer.concat([prefix, encoded]);
};

const binaryHeaderBytes = 19;
const binaryTrailerBytes = 2;

/** A COPY stream cut into frames: in binary header and trailer have one each. */
const toSegmentBytes = (codec: CodecName, format: RowFormat, copied: Buffer): { readonly stored: Buffer; readonly rawBytes: number } => {
  const parts = format === 'binary' ? [copied.subarray(0, binaryHeaderBytes)] : [];
  const end = format === 'binary' ? copied.length - binaryTrailerBytes : copied.length;
  for (let begin = parts[0]?.length ?? 0; begin < end; begin += 100_000) parts.push(copied.subarray(begin, Math.min(end, begin + 100_000)));
  if (format === 'binary') parts.push(copied.subarray(end));
  const rawBytes = format === 'binary' ? end - binaryHeaderBytes : end;
  return { stored: Buffer.concat(parts.map((part) => toFrame(codec, part))), rawBytes };
};

interface TableRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly root: number | null;
  readonly columns: readonly string[];
}

const listTables = `SELECT coalesce(json_agg(json_build_object('oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
  'root', CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid::int8 END,
  'columns', (SELECT coalesce(json_agg(attname ORDER BY attnum), '[]') FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '')) ORDER BY c.oid), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;

const listSequences = `SELECT coalesce(json_agg(json_build_object('oid', format('%I.%I', schemaname, sequencename)::regclass::oid::int8, 'schema', schemaname, 'name', sequencename, 'ownerOid', (SELECT d.refobjid::int8 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = format('%I.%I', schemaname, sequencename)::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')), 'lastValue', coalesce(last_value, start_value)::text, 'isCalled', last_value IS NOT NULL)), '[]') FROM pg_sequences`;

const listViews = `SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname) ORDER BY c.oid), '[]') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm'`;

const contentQuery = 'SELECT loid, pageno, data FROM pg_largeobject ORDER BY loid, pageno';

const metadataQuery = `SELECT oid, pg_get_userbyid(lomowner), CASE WHEN lomacl IS NOT NULL THEN (SELECT coalesce(json_agg(json_build_array(pg_get_userbyid(grantor),
  CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, privilege_type, is_grantable)), '[]') FROM aclexplode(lomacl)) END,
  obj_description(oid, 'pg_largeobject'), NULL FROM pg_largeobject_metadata ORDER BY oid`;

/** Makes a backup of a database with psql, pg_dump and the codecs' tools: two segments a data file, in the tables' order. Shares no code with the engine. */
export const makeBackup = async (cluster: Cluster, database: string, options: HandMadeOptions): Promise<Manifest> => {
  const { codec, id } = options;
  const directory = join(options.repository, id);
  const env = { ...withoutConnectionEnv(process.env), ...cluster.env(database) };
  const tool = (name: string, args: readonly string[], input?: Buffer): Buffer => runTool(join(cluster.binDir, name), args, input, env);
  const ask = (sql: string): string =>
    tool('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', "SET client_encoding TO 'UTF8'", '-c', sql]).toString('utf8').trim();
  const encoding = ask('SHOW server_encoding');
  await mkdir(join(directory, 'data'), { recursive: true });

  /** Statement and rows are in the database's encoding, as a session of its client_encoding sends them. */
  const copy = (source: string, format: RowFormat): { readonly stored: Buffer; readonly rawBytes: number } => {
    const script = `SET client_encoding TO '${encoding}';\nCOPY ${source} TO STDOUT (FORMAT ${format});\n`;
    const input = Buffer.from(script, encoding === 'LATIN1' ? 'latin1' : 'utf8');
    return toSegmentBytes(codec, format, tool('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-'], input));
  };

  const relations: ManifestRelation[] = [];
  const files: { path: string; parts: Buffer[] }[] = [];
  for (const table of JSON.parse(ask(listTables)) as readonly TableRow[]) {
    const format = options.formatOf(table.name);
    const quoted = `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`;
    const segments: ManifestSegment[] = [];
    if (table.kind === 'r') {
      const list = table.columns.length === 0 ? '' : `(${table.columns.map(quoteIdentifier).join(', ')})`;
      const { stored, rawBytes } = copy(`${quoted} ${list}`, format);
      if (files.at(-1)?.parts.length !== 1)
        files.push({ path: `data/t${String(files.length + 1).padStart(6, '0')}-a1-p001${dataExtension(codec)}`, parts: [] });
      const offset = files.at(-1)?.parts[0]?.length ?? 0;
      files.at(-1)?.parts.push(stored);
      const rowCount = Number(ask(`SELECT count(*) FROM ONLY ${quoted}`));
      segments.push({ file: files.length - 1, offset, storedBytes: stored.length, rawBytes, rowCount, digest: zeroDigest });
    }
    relations.push({
      oid: table.oid,
      schema: table.schema,
      name: table.name,
      kind: table.kind,
      partitionRootOid: table.root,
      isRootNeeded: false,
      snapshot: 1,
      columns: table.columns,
      condition: null,
      format,
      formatReason: 'made by hand',
      readMethod: 'whole',
      readReason: 'made by hand',
      rowCount: segments[0]?.rowCount ?? 0,
      rawBytes: segments[0]?.rawBytes ?? 0,
      storedBytes: segments[0]?.storedBytes ?? 0,
      digest: zeroDigest,
      segments,
    });
  }

  const streams: ManifestStream[] = [];
  const addStream = (query: string, format: RowFormat): ManifestStream => {
    const { stored, rawBytes } = copy(`(${query})`, format);
    const path = `data/t${String(files.length + 1).padStart(6, '0')}-a1-p001${dataExtension(codec)}`;
    files.push({ path, parts: [stored] });
    const rowCount = Number(ask(`SELECT count(*) FROM (${query}) q`));
    const sizes = { storedBytes: stored.length, rawBytes, rowCount, digest: zeroDigest };
    const stream = { ...sizes, segments: [{ file: files.length - 1, offset: 0, ...sizes }] };
    streams.push(stream);
    return stream;
  };
  const readLargeObjects = (): ManifestLargeObjects => {
    const [content, metadata] = [addStream(contentQuery, 'binary'), addStream(metadataQuery, 'text')];
    return { objectCount: metadata.rowCount, pageSizeBytes: 2048, readMethod: 'pages', content, metadata };
  };
  const largeObjects = options.hasLargeObjects === true ? readLargeObjects() : null;

  const writeArchive = async (path: string, bytes: Buffer): Promise<ManifestArchive> => {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), bytes);
    return { path, sizeBytes: bytes.length, sha256: sha256(bytes), pgDumpVersion: `${cluster.version}.0` };
  };
  const manifestFiles = [];
  for (const { path, parts } of files) {
    const bytes = Buffer.concat(parts);
    await writeFile(join(directory, path), bytes);
    manifestFiles.push({
      path,
      sizeBytes: bytes.length,
      checksum: toChecksum(options.checksum, join(directory, path), bytes),
      codec,
      attempt: 1,
    });
  }
  const sum = (field: 'rowCount' | 'rawBytes' | 'storedBytes'): number =>
    [...relations, ...streams].reduce((total, part) => total + part[field], 0);
  const manifest: Manifest = {
    format: 'dbbackup',
    formatVersion: 1,
    id,
    kind: 'single',
    tool: { name: 'dbbackup', version: '0.0.0' },
    startedAt: '2026-01-02T03:04:05.000Z',
    finishedAt: '2026-01-02T03:04:06.000Z',
    consistency: 'exact',
    baseBackupId: null,
    encryption: null,
    options: {
      compression: `${codec}:1`,
      chunkSizeBytes: 1024 ** 3,
      format: 'auto',
      checksum: options.checksum,
      jobs: 3,
      isOwnerDropped: false,
      arePrivilegesDropped: false,
      selection: null,
    },
    server: { version: cluster.version * 10_000, versionText: String(cluster.version), systemIdentifier: '1', startedAt: '' },
    totals: {
      rowCount: sum('rowCount'),
      rawBytes: sum('rawBytes'),
      storedBytes: sum('storedBytes'),
      relationCount: relations.length,
      fileCount: files.length,
    },
    checksum: options.checksum,
    globals: null,
    waves: [{ number: 1, earliestAt: '2026-01-02T03:04:05.000Z', latestAt: '2026-01-02T03:04:05.000Z' }],
    databases: [
      {
        number: 1,
        name: database,
        encoding,
        collate: 'C',
        ctype: 'C',
        localeProvider: 'c',
        icuLocale: null,
        icuRules: null,
        tablespace: 'pg_default',
        owner: 'postgres',
        searchPath: ['public'],
        extensions: [],
        roles: [],
        tablespaces: [],
        schemas: [],
        otherRelations: [],
        foreignKeys: [],
        outwardReferences: [],
        wave: 1,
        snapshots: [{ number: 1, id: '00000003-00000001-1', lsn: '0/15D6F88', takenAt: '2026-01-02T03:04:05.000Z' }],
        schema: await writeArchive(schemaPath(1, 1), encoders.zstd(tool('pg_dump', ['-Fc', '-Z0', '-s']))),
        largeObjects,
        relations,
        sequences: JSON.parse(ask(listSequences)) as Manifest['databases'][number]['sequences'],
        materializedViews: JSON.parse(ask(listViews)) as Manifest['databases'][number]['materializedViews'],
      },
    ],
    files: manifestFiles,
  };
  const storage = openLocalStorage(options.repository);
  await writeRestoreKit(storage, manifest);
  await publishManifest(storage, manifest);
  return manifest;
};
