import assert from 'node:assert/strict';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { processHost } from '#src/native/host.js';
import { findTools } from '#src/tools/find-tools.js';
import { installedServers } from '../../support/postgres-programs.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';

const noPath = { ...processHost, environment: { PATH: '' } };

describe('findTools', () => {
  it('finds what packages installed, each program once, also when PATH leads there', async () => {
    const [server] = installedServers();
    assert.ok(server);
    const found = await findTools({ names: ['pg_dump', 'pg_restore', 'psql'], host: noPath });
    for (const { version, binDir } of installedServers()) {
      assert.deepEqual(
        found.filter(({ path }) => path.startsWith(`${binDir}/`)).map(({ name, major }) => `${name} ${major}`),
        [`pg_dump ${version}`, `pg_restore ${version}`, `psql ${version}`],
      );
    }
    const byPath = await findTools({
      names: ['pg_dump', 'pg_restore', 'psql'],
      host: { ...processHost, environment: { PATH: `/no/such/directory:relative:${server.binDir}` } },
    });
    assert.deepEqual(byPath.map(({ path }) => path).sort(), found.map(({ path }) => path).sort());
  });

  it('looks into one directory when told to, and passes over what is no client tool', async () => {
    const [server] = installedServers();
    assert.ok(server);
    await withTemporaryDirectory(async (directory) => {
      assert.deepEqual(await findTools({ names: ['pg_dump', 'pg_restore', 'psql'], host: processHost, binDir: directory }), []);
      await symlink(join(server.binDir, 'pg_dump'), join(directory, 'pg_dump'));
      await writeFile(join(directory, 'pg_restore'), '#!/bin/sh\necho something else\n', { mode: 0o755 });
      await writeFile(join(directory, 'psql'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
      const found = await findTools({ names: ['pg_dump', 'pg_restore', 'psql'], host: processHost, binDir: directory });
      assert.deepEqual(
        found.map(({ name, path, major }) => [name, path, major]),
        [['pg_dump', join(directory, 'pg_dump'), server.version]],
      );
      await chmod(join(directory, 'psql'), 0o644);
      await mkdir(join(directory, 'sub'));
      assert.deepEqual(
        await findTools({ names: ['pg_dump', 'pg_restore', 'psql'], host: processHost, binDir: join(directory, 'psql') }),
        [],
      );
    });
  });
});
