import assert from 'node:assert/strict';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { errorCodes } from '#src/core/error-codes.js';
import { hashFile } from '#src/native/hash-file.js';
import { nativeErrorCodes, nativeVersions } from '#src/native/versions.js';
import { runChild } from '../../support/child.js';
import { rootDir } from '../../support/cli.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';

/** Code and hint of the error that loading the addon of a package in `directory` ends with. */
const loadFrom = async (directory: string): Promise<{ code: string; message: string; hint: string }> => {
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
  await cp(join(rootDir, 'dist'), join(directory, 'dist'), { recursive: true });
  await symlink(join(rootDir, 'node_modules'), join(directory, 'node_modules'));
  const program = `
    const { loadBinding } = await import(${JSON.stringify(join(directory, 'dist/native/load.js'))});
    try { loadBinding(); } catch ({ code, message, hint }) { console.log(JSON.stringify({ code, message, hint })); }`;
  const { stdout, stderr } = await runChild(process.execPath, ['--input-type=module', '-e', program]);
  assert.equal(stderr, '');
  return JSON.parse(stdout) as { code: string; message: string; hint: string };
};

describe('the addon', () => {
  it('throws only codes of the catalogue', () => {
    const codes = nativeErrorCodes();
    assert.equal(new Set(codes).size, codes.length);
    for (const code of codes) assert.ok(Object.hasOwn(errorCodes, code), code);
    for (const code of ['cancelled', 'connection_lost', 'server_error', 'data_damaged', 'disk_full']) assert.ok(codes.includes(code), code);
  });

  it('tells the versions of its libraries', () => {
    const { libpq, zstd, openssl } = nativeVersions();
    assert.ok(libpq >= 130000, String(libpq));
    assert.match(zstd, /^1\.\d+\.\d+$/);
    assert.match(openssl, /^\d+\.\d+\.\d+/);
  });

  it('says what is missing and how to build it', async () => {
    await withTemporaryDirectory(async (directory) => {
      const error = await loadFrom(directory);
      assert.equal(error.code, 'addon_unavailable');
      assert.ok(error.message.includes(join(directory, 'build/Release/dbbackup.node')), error.message);
      assert.match(error.hint, /npm ci && npm run build/);
    });
  });

  it('says why it cannot be loaded', async () => {
    await withTemporaryDirectory(async (directory) => {
      await mkdir(join(directory, 'build/Release'), { recursive: true });
      await writeFile(join(directory, 'build/Release/dbbackup.node'), 'not a library');
      const error = await loadFrom(directory);
      assert.equal(error.code, 'addon_unavailable');
      assert.match(error.message, /invalid ELF header|file too short/);
      assert.match(error.hint, /Build it for this machine/);
    });
  });
});

describe('hashFile', () => {
  it('gives what the stock tools print', async () => {
    await withTemporaryDirectory(async (directory) => {
      const path = join(directory, 'file');
      await writeFile(path, Buffer.alloc(3_000_001, 'dbbackup'));
      const sum = async (command: string, args: readonly string[]): Promise<string> =>
        (await runChild(command, [...args, path])).stdout.split(' ')[0] ?? '';
      assert.equal(await hashFile(path, 'sha256'), await sum('sha256sum', []));
      const xxh = await sum('sh', ['-c', 'command -v xxhsum >/dev/null && xxhsum -H2 "$0"']);
      const digest = await hashFile(path, 'xxh3-128');
      assert.match(digest, /^[0-9a-f]{32}$/);
      if (xxh !== '') assert.equal(digest, xxh);
      const many = await Promise.all(Array.from({ length: 50 }, () => hashFile(path, 'xxh3-128')));
      assert.deepEqual(new Set(many), new Set([digest]));
    });
  });

  it('rejects for a file that is not there, and for a name that is no checksum', async () => {
    await assert.rejects(hashFile('/nonexistent/file', 'sha256'), { code: 'data_damaged' });
    await assert.rejects(hashFile('/etc/passwd', 'md5' as 'sha256'), { code: 'usage' });
  });
});
