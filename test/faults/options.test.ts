import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runCli } from '../support/cli.js';
import { expectFailure } from './support/failure.js';
import { listFiles } from './support/leftovers.js';
import { smallSql, withScene } from './support/scene.js';

/** Each with what the message must name. */
const outOfRange: readonly (readonly [option: string, value: string, message: RegExp])[] = [
  ['--jobs', '0', /--jobs.* 1 to 64/],
  ['--jobs', '65', /--jobs.* 1 to 64/],
  ['--parallel-tables', '-1', /--parallel-tables|--jobs/],
  ['--jobs', 'many', /--jobs/],
  ['--chunk-size', '1023kB', /--chunk-size.* 1\.00 MB/],
  ['--chunk-size', '2TB', /--chunk-size.* 1\.00 TB/],
  ['--chunk-size', '1parsec', /--chunk-size/],
  ['--memory-limit', '1B', /memory.limit/],
  ['--compression', 'zstd:23', /--compression.* 1 to 22/],
  ['--compression', 'gzip:0', /--compression.* 1 to 12/],
  ['--compression', 'lz4:1', /lz4 has no levels/],
  ['--compression', 'xz', /--compression/],
  ['--format', 'csv', /--format/],
  ['--checksum', 'md5', /--checksum/],
  ['--port', '0', /--port/],
  ['--port', '65536', /--port/],
  ['--output-dir', '', /--output-dir/],
];

describe('an option out of range', () => {
  it('is refused before anything is done', async () => {
    await withScene(smallSql, async ({ cluster, database, base, repository }) => {
      for (const [option, value, message] of outOfRange) {
        const outcome = await runCli(['backup', 'single', cluster.uri(database), '--output-dir', repository, option, value], { cwd: base });
        expectFailure(outcome, { status: 2, code: 'usage', message });
        assert.equal(outcome.stdout, '');
      }
      assert.deepEqual(await listFiles(base), []);
    });
  });

  it('is refused where a pattern matches nothing, and leaves no unfinished run', async () => {
    await withScene(smallSql, async ({ cluster, database, base, repository }) => {
      for (const [option, kind] of [
        ['-t', 'table'],
        ['-n', 'schema'],
      ] as const) {
        const args = ['backup', 'single', cluster.uri(database), '--output-dir', repository, option, 'nosuch'];
        expectFailure(await runCli(args), { status: 2, code: 'usage', message: new RegExp(`^no ${kind} matches the pattern "nosuch"$`) });
      }
      assert.deepEqual(await listFiles(base), []);
    });
  });

  it('is refused when the memory limit leaves no room for the jobs, with the least that does', async () => {
    await withScene(smallSql, async ({ cluster, database, run, base }) => {
      const outcome = await run(['backup', 'single', cluster.uri(database), '--memory-limit', '60MB', '--jobs', '32']);
      const { hint } = expectFailure(outcome, {
        status: 2,
        code: 'memory_limit_too_small',
        message: /60 MB.* 32 jobs/,
        hint: /--memory-limit \d+MB/,
      });
      assert.deepEqual(
        (await listFiles(base)).filter((path) => path.endsWith('manifest.json')),
        [],
      );
      const least = /--memory-limit (\d+)MB/.exec(hint)?.[1];
      const again = await run(['backup', 'single', cluster.uri(database), '--memory-limit', `${Number(least) + 5}MB`, '--jobs', '32']);
      assert.equal(again.status, 0, again.stderr);
    });
  });
});
