import { randomUUID } from 'node:crypto';
import type { Event } from '#src/core/events.js';
import { createJournal } from '#src/manifest/journal.js';
import type { Manifest, ManifestRelation } from '#src/manifest/schema.js';
import { publishManifest } from '#src/manifest/store.js';
import { identifySelf } from '#src/resume/process-identity.js';
import { openLocalStorage } from '#src/storage/local-storage.js';
import { openOrCreateRepository } from '#src/storage/repository.js';

const digest = '0123456789abcdef0123456789abcdef';

export const createRelation = (oid: number, name: string, rawBytes: number): ManifestRelation => ({
  oid,
  schema: 'public',
  name,
  kind: 'r',
  partitionRootOid: null,
  isRootNeeded: false,
  snapshot: 1,
  columns: ['id'],
  condition: null,
  format: 'binary',
  formatReason: 'all types are safe',
  readMethod: 'whole',
  readReason: 'smaller than a chunk',
  rowCount: 10,
  rawBytes,
  storedBytes: 5,
  digest,
  segments: [{ file: 0, offset: oid * 5, storedBytes: 5, rawBytes, rowCount: 10, digest }],
});

/** A manifest that holds together, of a database `shop` with these relations. */
export const createManifest = (
  id: string,
  startedAt: string,
  relations: readonly ManifestRelation[] = [createRelation(1, 'orders', 100)],
): Manifest => ({
  format: 'dbbackup',
  formatVersion: 1,
  id,
  kind: 'single',
  tool: { name: 'dbbackup', version: '0.1.0' },
  startedAt,
  finishedAt: new Date(Date.parse(startedAt) + 60_000).toISOString(),
  consistency: 'exact',
  baseBackupId: null,
  encryption: null,
  options: {
    compression: 'zstd:1',
    chunkSizeBytes: 1024 ** 3,
    format: 'auto',
    checksum: 'xxh3-128',
    jobs: 4,
    isOwnerDropped: false,
    arePrivilegesDropped: false,
    selection: null,
  },
  server: { version: 150_018, versionText: '15.18', systemIdentifier: '7423', startedAt: '2026-01-01 00:00:00+00' },
  totals: {
    rowCount: relations.length * 10,
    rawBytes: relations.reduce((sum, relation) => sum + relation.rawBytes, 0),
    storedBytes: relations.length * 5,
    relationCount: relations.length,
    fileCount: 1,
  },
  checksum: 'xxh3-128',
  globals: null,
  waves: [{ number: 1, earliestAt: startedAt, latestAt: startedAt }],
  databases: [
    {
      ...{
        number: 1,
        name: 'shop',
        encoding: 'UTF8',
        collate: 'C',
        ctype: 'C',
        localeProvider: 'c',
        icuLocale: null,
        icuRules: null,
        tablespace: 'pg_default',
        owner: 'postgres',
      },
      searchPath: ['public'],
      extensions: [],
      roles: [],
      tablespaces: [],
      schemas: [],
      otherRelations: [],
      foreignKeys: [],
      outwardReferences: [],
      wave: 1,
      snapshots: [{ number: 1, id: '00000003-0000001B-1', lsn: '0/1A2B3C', takenAt: startedAt }],
      schema: { path: 'schema/0001.dump.zst', sizeBytes: 1, sha256: 'a'.repeat(64), pgDumpVersion: '15.18' },
      largeObjects: null,
      relations,
      sequences: [],
      materializedViews: [],
    },
  ],
  files: [{ path: 'data/t000001-a1-p001.zst', sizeBytes: 1_000_000, checksum: digest, codec: 'zstd', attempt: 1 }],
});

/** Puts a finished backup into a repository, which is created where it is missing. */
export const writeBackup = async (repository: string, manifest: Manifest): Promise<void> => {
  const storage = openLocalStorage(repository);
  await openOrCreateRepository(storage);
  await publishManifest(storage, manifest);
};

/** Puts the journal of an unfinished run into a repository, and the lock of the process that writes or wrote it. `startTicks`: as that of the process of this number now. */
export const writeRun = async (
  repository: string,
  id: string,
  { startTicks, ...process }: { readonly pid: number; readonly host: string; readonly atMs: number; readonly startTicks?: string },
): Promise<void> => {
  const storage = openLocalStorage(repository);
  await openOrCreateRepository(storage);
  const self = await identifySelf();
  const owner = { ...self, pid: process.pid, host: process.host, since: new Date(process.atMs).toISOString(), nonce: randomUUID() };
  await storage.publish(`${id}/lock.json`, JSON.stringify({ ...owner, startTicks: startTicks ?? self.startTicks }));
  const journal = await createJournal(storage, id);
  const events: readonly Event[] = [
    { ...process, type: 'backup.started', id, database: 'shop', repository, toolVersion: '0.1.0' },
    {
      atMs: process.atMs,
      type: 'plan.ready',
      taskCount: 9,
      relationCount: 7,
      estimatedRawBytes: 1,
      binaryRelationCount: 1,
      splitRelationCount: 1,
    },
    {
      atMs: process.atMs,
      type: 'chunk.finished',
      taskId: 1,
      name: 'public.orders',
      rawBytes: 100,
      storedBytes: 50,
      rowCount: 10,
      elapsedMs: 5,
    },
  ];
  for (const event of events) await journal.append(event);
  await journal.close();
};
