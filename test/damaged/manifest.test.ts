import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readBackupFacts } from '#src/manifest/facts.js';
import type { Manifest } from '#src/manifest/schema.js';
import { checkFilesPresent, publishManifest, readManifest } from '#src/manifest/store.js';
import { openLocalStorage } from '#src/storage/local-storage.js';
import { openOrCreateRepository, openRepository } from '#src/storage/repository.js';
import { moveBehindLink } from '../contract/links.js';
import { rejectsWith } from '../contract/storage-suite.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';
import { sampleManifest } from '../unit/manifest/sample.js';

/** A mutable look at the manifest's JSON. */
// biome-ignore lint/suspicious/noExplicitAny: damage knows no types
type Json = any;

interface Place {
  /** The backup's directory. */
  readonly directory: string;
  /** Changes the manifest and signs it again, as somebody would who means it. */
  edit(change: (manifest: Json) => void): Promise<void>;
}

/** `listed` is the state a list shows, null when it shows nothing; a list does not look at data files. */
type Damage = readonly [title: string, code: string | null, damage: (place: Place) => Promise<unknown>, listed?: string | null];

const relationOf = (manifest: Json, index = 0): Json => manifest.databases[0].relations[index];
const segmentOf = (manifest: Json, relation = 0, index = 0): Json => relationOf(manifest, relation).segments[index];
/** One large object without content, as the manifest would hold it. */
const largeObjectsOf = (manifest: Json): Json => {
  const sums = { storedBytes: 0, rawBytes: 0, digest: '0'.repeat(32) };
  const metadata = { ...sums, rowCount: 1, segments: [{ ...sums, rowCount: 1, file: 0, offset: 0 }] };
  const content = { ...sums, rowCount: 0, segments: [] };
  manifest.databases[0].largeObjects = { objectCount: 1, pageSizeBytes: 2048, readMethod: 'pages', content, metadata };
  manifest.totals.rowCount += 1;
  return manifest.databases[0].largeObjects;
};
const edited = (title: string, code: string | null, change: (manifest: Json) => void): Damage => [title, code, ({ edit }) => edit(change)];
const dataFile = 'data/t000001-a1-p001.zst';

const replaceByDirectory = async (path: string): Promise<void> => {
  await rm(path);
  await mkdir(path);
};

const damages: readonly Damage[] = [
  ['nothing', null, async () => undefined],
  edited('fields of a later version', null, (m) => Object.assign(m, { later: {}, databases: [{ ...m.databases[0], more: 1 }] })),

  ['no manifest', 'backup_unfinished', ({ directory }) => rm(join(directory, 'manifest.json'))],
  ['no checksum of the manifest', 'manifest_damaged', ({ directory }) => rm(join(directory, 'manifest.sha256'))],
  ['an empty checksum of the manifest', 'manifest_damaged', ({ directory }) => truncate(join(directory, 'manifest.sha256'))],
  ['a torn manifest', 'manifest_damaged', ({ directory }) => truncate(join(directory, 'manifest.json'), 700)],
  ['an empty manifest', 'manifest_damaged', ({ directory }) => truncate(join(directory, 'manifest.json'))],
  [
    'a number edited by hand',
    'manifest_damaged',
    async ({ directory }) =>
      writeFile(
        join(directory, 'manifest.json'),
        (await readFile(join(directory, 'manifest.json'), 'utf8')).replace('"rowCount": 10', '"rowCount": 11'),
      ),
  ],
  ['the directory of another backup', 'manifest_damaged', ({ edit }) => edit((m) => (m.id = 'another-1'))],
  [
    'a manifest behind a link',
    'path_unsafe',
    ({ directory }) => moveBehindLink(join(directory, 'manifest.json'), join(directory, '../../m.json'), '../../m.json'),
  ],
  ['a manifest that is a directory', 'backup_unfinished', ({ directory }) => replaceByDirectory(join(directory, 'manifest.json'))],

  edited('JSON that is no manifest', 'manifest_damaged', (m) => delete m.format),
  edited('the format of another tool', 'manifest_damaged', (m) => (m.format = 'other')),
  edited('format version 2', 'format_unsupported', (m) => (m.formatVersion = 2)),
  edited('format version "1"', 'manifest_damaged', (m) => (m.formatVersion = '1')),
  edited('an encrypted backup', 'format_unsupported', (m) => (m.encryption = { recipients: [] })),
  edited('an increment', 'format_unsupported', (m) => (m.baseBackupId = 'older-1')),
  edited('a cluster without globals', 'manifest_damaged', (m) => (m.kind = 'cluster')),
  edited('a single database with globals', 'manifest_damaged', (m) => (m.globals = m.databases[0].schema)),
  edited('globals outside the backup', 'path_unsafe', (m) => {
    m.kind = 'cluster';
    m.globals = { ...m.databases[0].schema, path: '../globals.sql' };
  }),
  edited('two databases of one name', 'manifest_damaged', (m) => {
    m.kind = 'cluster';
    m.globals = m.databases[0].schema;
    m.databases.push({ ...m.databases[0], number: 2, relations: [] });
  }),
  edited('a wave that is not listed', 'manifest_damaged', (m) => (m.databases[0].wave = 2)),

  edited('a data file outside the backup', 'path_unsafe', (m) => (m.files[0].path = '../../etc/passwd')),
  edited('an absolute path of a data file', 'path_unsafe', (m) => (m.files[0].path = '/etc/passwd')),
  edited('a data file called ..', 'path_unsafe', (m) => (m.files[0].path = '..')),
  edited('a path with a line end', 'path_unsafe', (m) => (m.files[0].path = 'data/x\n')),
  edited('a schema archive outside the backup', 'path_unsafe', (m) => (m.databases[0].schema.path = 'schema/../../x')),

  edited('a missing field', 'manifest_damaged', (m) => delete relationOf(m).columns),
  edited('a negative row count', 'manifest_damaged', (m) => (relationOf(m).rowCount = -1)),
  edited('a broken row count', 'manifest_damaged', (m) => (relationOf(m).rowCount = 1.5)),
  edited('a number above 2^53', 'manifest_damaged', (m) => (segmentOf(m).offset = 2 ** 60)),
  edited('a number as text', 'manifest_damaged', (m) => (relationOf(m).rowCount = '1')),
  edited('a name with a zero byte', 'manifest_damaged', (m) => (relationOf(m).name = 'a\0b')),
  edited('an empty name', 'manifest_damaged', (m) => (relationOf(m).name = '')),
  edited('large objects', null, (m) => void largeObjectsOf(m)),
  edited('large objects fewer than their rows say', 'manifest_damaged', (m) => (largeObjectsOf(m).objectCount += 1)),
  edited('large objects that lose a page', 'manifest_damaged', (m) => (largeObjectsOf(m).content.rowCount -= 1)),
  edited('a page size that is SQL', 'manifest_damaged', (m) => (largeObjectsOf(m).pageSizeBytes = '2048, lo_unlink(1)')),
  edited('an encoding that is SQL', 'manifest_damaged', (m) => (m.databases[0].encoding = "UTF8'; DROP TABLE t; --")),
  edited('a sequence value that is SQL', 'manifest_damaged', (m) =>
    m.databases[0].sequences.push({ schema: 'a', name: 'b', ownerOid: null, lastValue: '1); DROP TABLE t; --', isCalled: true }),
  ),
  edited('an unknown codec', 'manifest_damaged', (m) => (m.files[0].codec = 'xz')),
  edited('no database', 'manifest_damaged', (m) => (m.databases = [])),
  edited('a digest in capitals', 'manifest_damaged', (m) => (relationOf(m).digest = 'A'.repeat(32))),

  edited('two entries of files swapped', 'manifest_damaged', (m) => m.files.push(m.files.shift())),
  edited('a data file listed twice', 'manifest_damaged', (m) => (m.files[1].path = m.files[0].path)),
  edited('a checksum of the other algorithm', 'manifest_damaged', (m) => (m.files[0].checksum = 'a'.repeat(64))),
  edited('a segment of no file', 'manifest_damaged', (m) => (segmentOf(m).file = 17)),
  edited('a segment of another file', 'manifest_damaged', (m) => (segmentOf(m, 0).file = 0)),
  edited('a segment beyond the end of its file', 'manifest_damaged', (m) => (segmentOf(m, 1).offset = 11)),
  edited('a segment whose end overflows', 'manifest_damaged', (m) => (segmentOf(m, 1).offset = Number.MAX_SAFE_INTEGER)),
  edited('overlapping segments', 'manifest_damaged', (m) => (segmentOf(m, 1).offset = 9)),
  edited('a segment left out', 'manifest_damaged', (m) => relationOf(m, 2).segments.pop()),
  edited('a relation left out', 'manifest_damaged', (m) => m.databases[0].relations.pop()),
  edited('a relation listed twice', 'manifest_damaged', (m) => (relationOf(m, 1).oid = relationOf(m, 0).oid)),
  edited('a wrong sum of rows', 'manifest_damaged', (m) => (relationOf(m).rowCount += 1)),
  edited('a wrong sum of raw bytes', 'manifest_damaged', (m) => (segmentOf(m).rawBytes += 1)),
  edited('a wrong sum of digests', 'manifest_damaged', (m) => (relationOf(m, 2).digest = '8'.repeat(32))),
  edited('a wrong total', 'manifest_damaged', (m) => (m.totals.rawBytes += 1)),
  edited('a wrong number of files', 'manifest_damaged', (m) => (m.totals.fileCount += 1)),
  edited('a snapshot that is not listed', 'manifest_damaged', (m) => (relationOf(m).snapshot = 2)),

  ['a missing data file', 'data_damaged', ({ directory }) => rm(join(directory, dataFile))],
  ['a truncated data file', 'data_damaged', ({ directory }) => truncate(join(directory, dataFile), 29)],
  ['a data file with bytes appended', 'data_damaged', ({ directory }) => writeFile(join(directory, dataFile), Buffer.alloc(31))],
  ['a data file that is a directory', 'data_damaged', ({ directory }) => replaceByDirectory(join(directory, dataFile))],
  ['a missing schema archive', 'data_damaged', ({ directory }) => rm(join(directory, 'schema/0001.dump.zst'))],
  [
    'a data file behind a link',
    'path_unsafe',
    ({ directory }) => moveBehindLink(join(directory, dataFile), join(directory, '../../away'), '../../../away'),
    'finished',
  ],
  [
    'a link to nowhere in the place of a data file',
    'path_unsafe',
    ({ directory }) => moveBehindLink(join(directory, dataFile), join(directory, 'away'), 'nowhere'),
    'finished',
  ],
  [
    'a data folder behind a link',
    'path_unsafe',
    ({ directory }) => moveBehindLink(join(directory, 'data'), join(directory, '../../data'), '../../data'),
    'finished',
  ],
  ['the whole backup behind a link', 'path_unsafe', ({ directory }) => moveBehindLink(directory, join(directory, '../../b'), '../b'), null],
];

const writeGoodBackup = async (root: string, manifest: Manifest): Promise<string> => {
  const storage = openLocalStorage(root);
  await openOrCreateRepository(storage);
  for (const { path, sizeBytes } of [...manifest.files, ...manifest.databases.map((database) => database.schema)])
    await storage.publish(`${manifest.id}/${path}`, Buffer.alloc(sizeBytes));
  await storage.publish(`${manifest.id}/journal.ndjson`, '');
  await publishManifest(storage, manifest);
  return join(root, manifest.id);
};

const edit =
  (directory: string): Place['edit'] =>
  async (change) => {
    const manifest: Json = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8'));
    change(manifest);
    const text = JSON.stringify(manifest);
    await writeFile(join(directory, 'manifest.json'), text);
    await writeFile(join(directory, 'manifest.sha256'), `${createHash('sha256').update(text).digest('hex')}  manifest.json\n`);
  };

const toListed = (code: string | null): string => {
  if (code === null || code === 'data_damaged') return 'finished';
  return code === 'backup_unfinished' ? 'unfinished' : 'damaged';
};

describe('a damaged backup', () => {
  for (const [title, code, damage, listed = toListed(code)] of damages) {
    it(`${title}: ${code ?? 'is read'}`, async () => {
      await withTemporaryDirectory(async (base) => {
        const root = join(base, 'r');
        const { id } = sampleManifest();
        const directory = await writeGoodBackup(root, sampleManifest());
        await damage({ directory, edit: edit(directory) });

        const storage = openLocalStorage(root);
        const read = async (): Promise<void> => {
          const repository = await openRepository(storage);
          await repository.findFinished(id);
          await checkFilesPresent(storage, await readManifest(storage, id));
        };
        if (code === null) await read();
        else await assert.rejects(read, rejectsWith(code));

        // However damaged, it hides no other backup from a list, and the list says what is wrong with it.
        await storage.publish('other-1/journal.ndjson', '');
        const repository = await openRepository(storage);
        const facts = await Promise.all((await repository.list()).map((entry) => readBackupFacts(repository, entry)));
        assert.equal(facts.find((fact) => fact.id === 'other-1')?.state, 'unfinished');
        const found = facts.find((fact) => fact.id === id);
        assert.equal(found?.state ?? null, listed);
        assert.equal(found?.state === 'damaged', typeof found?.problem === 'string');
      });
    });
  }
});
