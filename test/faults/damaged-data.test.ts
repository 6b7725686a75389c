import assert from 'node:assert/strict';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type CompressionOptions, show, verify } from '#src/index.js';
import type { Manifest } from '#src/manifest/schema.js';
import { withDatabase } from '../support/database.js';
import { flipBit } from './support/data-files.js';
import { expectFailure } from './support/failure.js';
import { withScene } from './support/scene.js';

type Codec = CompressionOptions['codec'];

/** Text that compresses, binary that does not, and a row larger than a frame. */
const sql = `CREATE TABLE texts AS SELECT i AS id, 'text ' || i AS v FROM generate_series(1, 300) i;
CREATE TABLE bytes AS SELECT i AS id, decode(md5(i::text), 'hex') AS v FROM generate_series(1, 300) i;
CREATE TABLE broad AS SELECT 1 AS id, decode(repeat(md5('x') || md5('y'), 40000), 'hex') AS v;
CREATE TABLE empty (id int, v bytea);`;

interface Frame {
  readonly begin: number;
  readonly end: number;
  readonly bodyBegin: number;
}

/** Frames of a segment, walked by their headers as `docs/format.md` section 4 says; of uncompressed data: header, rows, trailer. */
const walkFrames = (file: Buffer, codec: Codec, begin: number, end: number): readonly Frame[] => {
  if (codec === 'none') return [{ begin, bodyBegin: begin, end }];
  const frames: Frame[] = [];
  for (let at = begin; at < end; ) {
    // Behind magic and size of a skippable frame, or a gzip member's fixed part and subfield head, which the member's size counts.
    const [headerAt, bodyAt] = codec === 'gzip' ? [16, 28] : [8, 20];
    const storedBytes = file.readUInt32LE(at + headerAt);
    const next = codec === 'gzip' ? at + storedBytes : at + bodyAt + storedBytes;
    frames.push({ begin: at, bodyBegin: at + bodyAt, end: next });
    at = next;
  }
  assert.equal(frames.at(-1)?.end, end, 'the frames fill the segment');
  return frames;
};

interface Position {
  readonly path: string;
  readonly table: string;
  readonly at: number;
  readonly region: string;
}

/** Every byte of prefixes and of the last four bytes of a frame, which are a checksum, and some of the body; of the first, second and last frame of each segment. */
const choosePositions = async (directory: string, manifest: Manifest): Promise<readonly Position[]> => {
  const positions: Position[] = [];
  for (const relation of manifest.databases[0]?.relations ?? []) {
    for (const segment of relation.segments) {
      const file = manifest.files[segment.file];
      assert.ok(file !== undefined);
      const bytes = await readFile(join(directory, file.path));
      const frames = walkFrames(bytes, file.codec, segment.offset, segment.offset + segment.storedBytes);
      for (const [name, frame] of [
        ['first', frames[0]],
        ['second', frames[1]],
        ['last', frames.at(-1)],
      ] as const) {
        if (frame === undefined) continue;
        const { begin, bodyBegin, end } = frame;
        const prefix = Array.from({ length: bodyBegin - begin }, (_, index) => begin + index).filter(
          (_, index) => index % 3 === 0 || index >= bodyBegin - begin - 12,
        );
        const body = [bodyBegin, bodyBegin + 4, Math.floor((bodyBegin + end) / 2), end - 8, end - 5].filter(
          (at) => at >= bodyBegin && at < end,
        );
        const checksum = [end - 4, end - 1].filter((at) => at >= bodyBegin);
        for (const [region, places] of Object.entries({ prefix, body, checksum })) {
          for (const at of places)
            positions.push({ path: file.path, table: `${relation.schema}.${relation.name}`, at, region: `${name} frame, ${region}` });
        }
      }
    }
  }
  return positions;
};

const codecs: readonly Codec[] = ['zstd', 'lz4', 'gzip', 'none'];

describe('a data file that is not what was written', () => {
  for (const codec of codecs) {
    it(`is found by verify whichever bit of a ${codec} file is flipped, and named with its table`, async () => {
      await withScene(sql, async ({ repository, run, backUp, directoryOf }) => {
        const id = await backUp(['--compression', codec]);
        const directory = directoryOf(id);
        const { manifest } = await show({ id, outputDir: repository });
        const positions = await choosePositions(directory, manifest);
        const seen = new Set(positions.map(({ region }) => region));
        assert.ok(seen.size >= (codec === 'none' ? 4 : 8), [...seen].join());
        for (const { path, table, at, region } of positions) {
          await flipBit(join(directory, path), at);
          const { damage } = await verify({ id, outputDir: repository, jobs: 1 });
          const place = `${region} of ${table}, byte ${at} of ${path}: ${JSON.stringify(damage)}`;
          assert.ok(damage.length > 0, place);
          assert.ok(
            damage.every((found) => found.path === path),
            place,
          );
          assert.ok(
            damage.some(({ relation }) => relation === table || relation.split(', ').includes(table)),
            place,
          );
          await flipBit(join(directory, path), at);
        }
        const last = positions.at(-1);
        assert.ok(last !== undefined);
        await flipBit(join(directory, last.path), last.at);
        const outcome = await run(['verify', id]);
        assert.equal(outcome.status, 20, outcome.stderr);
        assert.ok(outcome.stderr.includes(`damage: ${last.path}, `), outcome.stderr);
        assert.ok(outcome.stderr.includes(last.table), outcome.stderr);
      });
    });
  }

  it('is found by verify, and refused by restore before the target is touched, when it is cut off, too long or missing', async () => {
    await withScene(sql, async ({ cluster, repository, run, backUp, directoryOf }) => {
      const id = await backUp();
      const { manifest } = await show({ id, outputDir: repository });
      const file = manifest.files[manifest.databases[0]?.relations.find(({ name }) => name === 'texts')?.segments[0]?.file ?? -1];
      assert.ok(file !== undefined);
      const path = join(directoryOf(id), file.path);
      const good = await readFile(path);
      const damages: readonly (readonly [kind: string, message: RegExp, damage: () => Promise<void>])[] = [
        ['size', /bytes instead of/, () => truncate(path, good.length - 1)],
        ['size', /bytes instead of/, () => truncate(path, 0)],
        ['size', /bytes instead of/, () => writeFile(path, Buffer.concat([good, Buffer.alloc(1)]))],
        ['missing', /missing/, () => rm(path)],
      ];
      await withDatabase(cluster, async (target) => {
        for (const [kind, message, damage] of damages) {
          await damage();
          const verified = await run(['verify', id]);
          assert.equal(verified.status, 20, verified.stderr);
          assert.match(verified.stderr, new RegExp(`damage: ${file.path}, .*public\\.texts.*\\(${kind}\\)`));
          const restored = await run(['restore', 'single', id, '--target-db', cluster.uri(target)]);
          expectFailure(restored, { status: 20, code: 'data_damaged', message, hint: /copy/ });
          assert.equal(await cluster.psql(target, "SELECT to_regclass('texts') IS NULL"), 't');
          await writeFile(path, good);
        }
        assert.deepEqual((await verify({ id, outputDir: repository })).damage, []);
      });
    });
  });

  it('is found in large objects by verify, and by a restore before they are committed', async () => {
    await withScene(
      "SELECT lo_from_bytea(0, convert_to(repeat('large object ', 500), 'UTF8'))",
      async ({ cluster, repository, run, backUp, directoryOf }) => {
        const id = await backUp();
        const { manifest } = await show({ id, outputDir: repository });
        const largeObjects = manifest.databases[0]?.largeObjects;
        for (const [name, stream] of [
          ['large objects', largeObjects?.content],
          ['large objects (metadata)', largeObjects?.metadata],
        ] as const) {
          const segment = stream?.segments[0];
          assert.ok(segment !== undefined);
          const { path } = manifest.files[segment.file] ?? {};
          assert.ok(path !== undefined);
          await flipBit(join(directoryOf(id), path), segment.offset + Math.floor(segment.storedBytes * 0.5));
          const verified = await run(['verify', id]);
          assert.equal(verified.status, 20, verified.stderr);
          assert.ok(verified.stderr.includes(`damage: ${path}, ${name}`), verified.stderr);
          await withDatabase(cluster, async (target) => {
            const restored = await run(['restore', 'single', id, '--target-db', cluster.uri(target)]);
            expectFailure(restored, { status: 20, code: 'data_damaged', message: /large objects/, hint: /copy/ });
            assert.equal(await cluster.psql(target, 'SELECT count(*) FROM pg_largeobject'), '0');
          });
          await flipBit(join(directoryOf(id), path), segment.offset + Math.floor(segment.storedBytes * 0.5));
        }
        assert.deepEqual((await verify({ id, outputDir: repository })).damage, []);
      },
    );
  });

  it('is found by verify in what restore.sh needs', async () => {
    await withScene(sql, async ({ repository, run, backUp, directoryOf }) => {
      const id = await backUp();
      const damages: readonly (readonly [path: string, kind: string, damage: (path: string) => Promise<unknown>])[] = [
        ['restore.sh', 'checksum', (path) => flipBit(path, -200)],
        ['restore/0001/finish.sql', 'checksum', (path) => flipBit(path, -2)],
        ['restore/0001/segments.tsv', 'missing', (path) => rm(path)],
        ['restore/sha256sums', 'missing', (path) => rm(path)],
        ['restore/sha256sums', 'missing', (path) => truncate(path, 30)],
      ];
      for (const [name, kind, damage] of damages) {
        const path = join(directoryOf(id), name);
        const good = await readFile(path);
        await damage(path);
        const verified = await run(['verify', id]);
        assert.equal(verified.status, 20, `${name}: ${verified.stderr}`);
        assert.match(verified.stderr, new RegExp(`damage: ${name}.*\\(${kind}\\)`));
        await writeFile(path, good);
      }
      assert.deepEqual((await verify({ id, outputDir: repository })).damage, []);
    });
  });

  for (const codec of ['zstd', 'none'] as const) {
    it(`ends a restore with the segment's transaction rolled back and all others kept (${codec})`, async () => {
      await withScene(
        `${sql} CREATE TABLE large AS SELECT i AS id, repeat(md5(i::text), 4) AS v FROM generate_series(1, 160000) i;`,
        async (scene) => {
          const { cluster, repository, run, backUp, directoryOf } = scene;
          const id = await backUp(['--compression', codec, '--chunk-size', '16MB']);
          const { manifest } = await show({ id, outputDir: repository });
          const large = manifest.databases[0]?.relations.find(({ name }) => name === 'large');
          const [first, second] = large?.segments ?? [];
          assert.ok(large !== undefined && first !== undefined && second !== undefined);
          const path = manifest.files[second.file]?.path ?? '';
          // In the second half: rows have reached the server by then.
          await flipBit(join(directoryOf(id), path), second.offset + Math.floor(second.storedBytes * 0.7));
          await withDatabase(cluster, async (target) => {
            const outcome = await run(['restore', 'single', id, '--target-db', cluster.uri(target)]);
            expectFailure(outcome, { status: 20, code: 'data_damaged', message: /public\.large segment 2\/\d+/, hint: /copy/ });
            assert.equal(await cluster.psql(target, 'SELECT count(*) FROM large'), String(large.rowCount - second.rowCount));
            assert.equal(await cluster.psql(target, 'SELECT count(*) FROM texts'), '300');
          });
        },
      );
    });
  }
});
