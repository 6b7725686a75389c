import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DbbackupError, deleteBackup, list, restore, show, verify } from '#src/index.js';
import { runCli } from '../support/cli.js';
import type { Cluster } from '../support/cluster.js';
import { uniqueDatabaseName, withDatabase } from '../support/database.js';
import { sharedCluster } from '../support/shared-cluster.js';
import { editManifest, flipBit, type Json } from './support/data-files.js';
import { expectSuccess } from './support/failure.js';

/** One repository with two backups of the same database; `directory` is the first one's. */
interface Cage {
  readonly repository: string;
  readonly directory: string;
  readonly other: string;
  /** Paths of data files, relative to a backup. */
  readonly files: readonly string[];
}

/** What `verify` must say: an error, or damage to be listed; null: the backup is sound. */
type Expected =
  | { readonly code: string; readonly message: RegExp }
  | { readonly kind: string; readonly path: RegExp; readonly message: RegExp }
  | null;

type Animal = readonly [title: string, expected: Expected, damage: (cage: Cage) => Promise<unknown>];

const manifestOf = (cage: Cage): string => join(cage.directory, 'manifest.json');
const fileOf = (cage: Cage, index = 0): string => join(cage.directory, cage.files.at(index) ?? '');
const edited =
  (change: (manifest: Json) => void) =>
  (cage: Cage): Promise<void> =>
    editManifest(cage.directory, change);
const swap = async (a: string, b: string): Promise<void> => {
  await rename(a, `${a}.away`);
  await rename(b, a);
  await rename(`${a}.away`, b);
};
/** Puts a link where something was, which goes to `to`. */
const moveOut = async (path: string, to: string): Promise<void> => {
  await rename(path, to);
  await symlink(to, path);
};
const damaged = (message: RegExp) => ({ code: 'manifest_damaged', message });
const unsafe = (message: RegExp) => ({ code: 'path_unsafe', message });

const animals: readonly Animal[] = [
  ['nothing', null, async () => undefined],
  ['a file nobody knows', null, ({ directory }) => writeFile(join(directory, 'data/stranger.zst'), 'x')],
  ['a file of an earlier try', null, (cage) => copyFile(fileOf(cage), fileOf(cage).replace('-a1-', '-a7-'))],
  ['no journal', null, ({ directory }) => rm(join(directory, 'journal.ndjson'))],
  ['a torn journal', null, ({ directory }) => truncate(join(directory, 'journal.ndjson'), 200)],
  ['a journal of noise', null, ({ directory }) => writeFile(join(directory, 'journal.ndjson'), Buffer.alloc(5000, 0xa5))],

  ['a missing data file', { kind: 'missing', path: /^data\//, message: /missing/ }, (cage) => rm(fileOf(cage))],
  ['a truncated data file', { kind: 'size', path: /^data\//, message: /bytes instead of/ }, (cage) => truncate(fileOf(cage), 1000)],
  ['an empty data file', { kind: 'size', path: /^data\//, message: /bytes instead of/ }, (cage) => truncate(fileOf(cage), 0)],
  [
    'a data file that is longer',
    { kind: 'size', path: /^data\//, message: /bytes instead of/ },
    async (cage) => writeFile(fileOf(cage), Buffer.concat([await readFile(fileOf(cage)), Buffer.alloc(1)])),
  ],
  ['a flipped bit', { kind: 'checksum', path: /^data\//, message: /checksum/ }, (cage) => flipBit(fileOf(cage), 4711)],
  ['two data files swapped', { kind: 'size|checksum', path: /^data\//, message: /./ }, (cage) => swap(fileOf(cage, 0), fileOf(cage, -1))],
  ['a data file twice', { kind: 'size|checksum', path: /^data\//, message: /./ }, (cage) => copyFile(fileOf(cage, 0), fileOf(cage, -1))],
  [
    'all data files gone',
    { kind: 'missing', path: /^data\//, message: /missing/ },
    ({ directory }) => rm(join(directory, 'data'), { recursive: true }),
  ],
  [
    'a directory in the place of a data file',
    { kind: 'missing', path: /^data\//, message: /not a regular file/ },
    async (cage) => {
      await rm(fileOf(cage));
      await mkdir(fileOf(cage));
    },
  ],
  [
    'a missing schema archive',
    { kind: 'missing', path: /^schema\//, message: /missing/ },
    ({ directory }) => rm(join(directory, 'schema/0001.dump.zst')),
  ],
  [
    'a flipped bit in the schema archive',
    { kind: 'checksum', path: /^schema\//, message: /SHA-256/ },
    ({ directory }) => flipBit(join(directory, 'schema/0001.dump.zst'), 200),
  ],
  [
    'the schema archive of another backup',
    { kind: 'checksum|size', path: /^schema\//, message: /./ },
    ({ directory, other }) => copyFile(join(other, 'schema/0001.dump.zst'), join(directory, 'schema/0001.dump.zst')),
  ],
  [
    'a flipped bit in restore.sh',
    { kind: 'checksum', path: /^restore\.sh$/, message: /./ },
    ({ directory }) => flipBit(join(directory, 'restore.sh'), -300),
  ],
  ['no restore.sh', { kind: 'missing', path: /^restore\.sh$/, message: /./ }, ({ directory }) => rm(join(directory, 'restore.sh'))],

  ['no manifest', { code: 'backup_unfinished', message: /has no manifest|did not finish/ }, (cage) => rm(manifestOf(cage))],
  ['no checksum of the manifest', damaged(/manifest\.sha256|checksum/), ({ directory }) => rm(join(directory, 'manifest.sha256'))],
  ['a torn manifest', damaged(/manifest/), (cage) => truncate(manifestOf(cage), 3000)],
  ['a flipped bit in the manifest', damaged(/manifest/), (cage) => flipBit(manifestOf(cage), 1234)],
  [
    'the manifest of another backup',
    damaged(/manifest|ID|id/),
    async ({ directory, other }) => {
      for (const name of ['manifest.json', 'manifest.sha256']) await copyFile(join(other, name), join(directory, name));
    },
  ],
  [
    'a manifest of noise, signed',
    damaged(/manifest|JSON/),
    async (cage) => {
      const text = '{"format": "dbbackup", '.repeat(50);
      await writeFile(manifestOf(cage), text);
      await writeFile(join(cage.directory, 'manifest.sha256'), `${createHash('sha256').update(text).digest('hex')}  manifest.json\n`);
    },
  ],
  ['another row count', damaged(/rowCount/), edited((m) => (m.databases[0].relations[0].rowCount += 1))],
  ['another digest', damaged(/digest/), edited((m) => (m.databases[0].relations[0].digest = '0'.repeat(32)))],
  ['a relation less', damaged(/rowCount|relationCount|segment|file/), edited((m) => m.databases[0].relations.shift())],
  ['a relation twice', damaged(/./), edited((m) => m.databases[0].relations.push(m.databases[0].relations[0]))],
  ['a file less', damaged(/./), edited((m) => m.files.pop())],
  ['files in another order', damaged(/./), edited((m) => m.files.reverse())],
  [
    'a segment that begins elsewhere',
    damaged(/./),
    edited((m) => (m.databases[0].relations.find((r: Json) => r.segments.length > 0).segments[0].offset += 1)),
  ],
  ['a checksum of another form', damaged(/checksum/), edited((m) => (m.files[0].checksum = 'x'))],
  ['SQL in the place of an encoding', damaged(/encoding/), edited((m) => (m.databases[0].encoding = "UTF8'; DROP TABLE a; --"))],
  ['a later format', { code: 'format_unsupported', message: /version/ }, edited((m) => (m.formatVersion = 99))],
  ['an encrypted backup', { code: 'format_unsupported', message: /encrypt/ }, edited((m) => (m.encryption = { recipients: [] }))],

  ['a path out of the backup', unsafe(/files\.0\.path/), edited((m) => (m.files[0].path = 'data/../../other/x.zst'))],
  ['an absolute path', unsafe(/files\.0\.path/), edited((m) => (m.files[0].path = '/etc/passwd'))],
  ['a path of the schema out of the backup', unsafe(/schema\.path/), edited((m) => (m.databases[0].schema.path = '../x'))],
  ['a data file behind a link', unsafe(/link/), async (cage) => moveOut(fileOf(cage), join(cage.repository, '..', 'away.zst'))],
  [
    'a link to nowhere',
    unsafe(/link/),
    async (cage) => {
      await rm(fileOf(cage));
      await symlink('/nowhere', fileOf(cage));
    },
  ],
  [
    'the data folder behind a link',
    unsafe(/link/),
    ({ repository, directory }) => moveOut(join(directory, 'data'), join(repository, '..', 'away')),
  ],
  ['the manifest behind a link', unsafe(/link/), (cage) => moveOut(manifestOf(cage), join(cage.repository, '..', 'away.json'))],
  [
    'the whole backup behind a link',
    unsafe(/link/),
    ({ repository, directory }) => moveOut(directory, join(repository, '..', 'away-backup')),
  ],

  [
    'no marker of the repository',
    { code: 'not_a_repository', message: /not a dbbackup repository/ },
    ({ repository }) => rm(join(repository, 'dbbackup-repository.json')),
  ],
  [
    'a marker of noise',
    { code: 'not_a_repository', message: /not a dbbackup repository/ },
    ({ repository }) => writeFile(join(repository, 'dbbackup-repository.json'), '{'),
  ],
  [
    'a repository of a later format',
    { code: 'format_unsupported', message: /format version 9/ },
    ({ repository }) => writeFile(join(repository, 'dbbackup-repository.json'), '{"format": "dbbackup-repository", "formatVersion": 9}'),
  ],
  [
    'no repository',
    { code: 'repository_not_found', message: /there is no repository/ },
    ({ repository }) => rm(repository, { recursive: true }),
  ],
];

const toOutcome = async (run: () => Promise<unknown>): Promise<DbbackupError | null> => {
  try {
    await run();
    return null;
  } catch (error) {
    assert.ok(error instanceof DbbackupError, String(error));
    return error;
  }
};

describe('a zoo of damaged repositories', () => {
  let cluster: Cluster;
  let place = '';
  let good = '';
  let ids: readonly string[] = [];
  let files: readonly string[] = [];

  before(async () => {
    cluster = await sharedCluster();
    place = await mkdtemp(join(tmpdir(), 'dbbackup-test-'));
    good = join(place, 'good');
    await withDatabase(cluster, async (database) => {
      await cluster.psql(
        database,
        `CREATE TABLE a AS SELECT i AS id, md5(i::text) AS v FROM generate_series(1, 60000) i; CREATE TABLE b AS SELECT * FROM a LIMIT 30000; CREATE TABLE empty (id int);`,
      );
      const args = ['backup', 'single', cluster.uri(database), '--output-dir', good, '--quiet', '--chunk-size', '1MB', '--jobs', '2'];
      ids = [expectSuccess(await runCli(args)).trim()];
      await cluster.psql(database, 'CREATE TABLE later (id int); DELETE FROM b WHERE id < 5');
      ids = [...ids, expectSuccess(await runCli(args)).trim()];
    });
    const { manifest } = await show({ id: ids[0] ?? '', outputDir: good });
    files = manifest.files.map(({ path }) => path);
    assert.ok(files.length >= 3, `${files.length} files`);
  });
  after(() => rm(place, { recursive: true }));

  assert.ok(animals.length >= 30);
  for (const [number, [title, expected, damage]] of animals.entries()) {
    it(`${title}: ${expected === null ? 'is sound' : 'code' in expected ? expected.code : `damage (${expected.kind})`}`, async () => {
      const [id = '', otherId = ''] = ids;
      const base = join(place, `cage-${number}`);
      const repository = join(base, 'repository');
      await mkdir(base);
      await cp(good, repository, { recursive: true });
      const cage = { repository, directory: join(repository, id), other: join(repository, otherId), files };
      await damage(cage);

      let found: Awaited<ReturnType<typeof verify>> | null = null;
      const error = await toOutcome(async () => {
        found = await verify({ id, outputDir: repository, jobs: 1 });
      });
      const findings = (found as Awaited<ReturnType<typeof verify>> | null)?.damage ?? [];
      const told = JSON.stringify({ code: error?.code, message: error?.message, findings });
      const isRepositoryGood = error === null || !['not_a_repository', 'repository_not_found', 'format_unsupported'].includes(error.code);
      if (expected === null || 'kind' in expected) assert.equal(error, null, told);
      if (expected === null) assert.deepEqual(findings, []);
      else if ('code' in expected) {
        assert.equal(error?.code, expected.code, told);
        assert.match(error?.message ?? '', expected.message);
      } else {
        assert.ok(
          findings.some(
            ({ kind, path, message }) =>
              new RegExp(`^(${expected.kind})$`).test(kind) && expected.path.test(path) && expected.message.test(message),
          ),
          told,
        );
      }

      // Nothing of it is restored: no database is created of what is known to be damaged before.
      const isRefused =
        error !== null || findings.some(({ kind, path }) => (kind === 'missing' || kind === 'size') && path.startsWith('data/'));
      if (isRefused) {
        const target = uniqueDatabaseName('never');
        const refusal = await toOutcome(() =>
          restore({ id, outputDir: repository, connection: { database: cluster.uri(target) }, isCreating: true, jobs: 1 }),
        );
        assert.notEqual(refusal, null, 'the restore is refused');
        if (error !== null) assert.equal(refusal?.code, error.code);
        assert.equal(await cluster.psql('postgres', `SELECT count(*) FROM pg_database WHERE datname = '${target}'`), '0');
      }

      // The other backup is none of its business, and what is damaged can be deleted.
      if (isRepositoryGood) {
        assert.deepEqual((await verify({ id: otherId, outputDir: repository, jobs: 1 })).damage, []);
        const { backups } = await list({ outputDir: repository });
        assert.ok(backups.some((backup) => backup.id === otherId && backup.state === 'finished'));
        const entries = await readdir(repository, { withFileTypes: true });
        if (entries.some((entry) => entry.name === id && entry.isDirectory())) {
          const refusal = await toOutcome(() => deleteBackup({ id, outputDir: repository, isConfirmed: true }));
          // A link in the manifest's place is somebody's to look at.
          if (refusal !== null) assert.match(`${refusal.code} ${refusal.message}`, /^path_unsafe .*manifest\.json is a symbolic link$/);
        }
        assert.deepEqual((await verify({ id: otherId, outputDir: repository, jobs: 1 })).damage, []);
      }
      await rm(base, { recursive: true });
    });
  }
});
