import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runChildOrThrow } from '../support/child.js';
import { withCluster } from '../support/cluster.js';
import { findServer, supportedVersions } from '../support/postgres-programs.js';

describe('servers on demand', () => {
  for (const version of supportedVersions) {
    it(`starts PostgreSQL ${version}, with client tools for it and the extensions of contrib`, async () => {
      const { binDir } = findServer(version);
      for (const tool of ['psql', 'pg_dump', 'pg_restore', 'pg_dumpall'])
        assert.ok(Number(/ (\d+)[.\d]* ?/.exec(await runChildOrThrow(join(binDir, tool), ['--version']))?.[1]) >= version, tool);
      await withCluster(
        async (cluster) => {
          assert.equal(await cluster.psql('postgres', "SELECT current_setting('server_version_num')::int / 10000"), String(version));
          await cluster.psql(
            'postgres',
            'CREATE EXTENSION hstore; CREATE EXTENSION postgres_fdw; CREATE EXTENSION pgcrypto; CREATE EXTENSION "uuid-ossp"',
          );
          assert.equal(await cluster.psql('postgres', "SELECT length(digest('a', 'sha256'))"), '32');
        },
        { version },
      );
    });
  }

  it('says which versions can be had when asked for another', () => {
    assert.throws(() => findServer(9), /PostgreSQL 9 cannot be installed: only 13, 14, 15, 16, 17, 18 can/);
  });
});
