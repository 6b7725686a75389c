import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeCertificates } from '../support/certificates.js';
import { runCli } from '../support/cli.js';
import { withDatabase } from '../support/database.js';
import { tableFingerprints } from '../support/fingerprints.js';
import { tlsLogin } from '../support/login.js';
import { expectFailure, expectSuccess } from './support/failure.js';
import { listFiles } from './support/leftovers.js';
import { smallSql, withScene } from './support/scene.js';

/** Everything belongs to the role that comes through TLS alone, client tools included. */
const sql = `SET ROLE ${tlsLogin.user}; ${smallSql}
CREATE TABLE large AS SELECT i AS id, repeat(md5(i::text), 4) AS v FROM generate_series(1, 160000) i; CREATE INDEX ON large (id);
SELECT lo_from_bytea(0, 'large object');`;
const databaseOptions = `OWNER ${tlsLogin.user}`;

describe('TLS with sslmode=verify-full', () => {
  it('carries backup, verify and restore, the client tools too', async () => {
    await withScene(
      sql,
      async ({ cluster, database, repository, run }) => {
        const args = ['backup', 'single', cluster.uri(database, tlsLogin), '--chunk-size', '4MB', '--verify'];
        const id = expectSuccess(await run(args)).trim();
        await withDatabase(
          cluster,
          async (target) => {
            const env = cluster.env(target, tlsLogin);
            expectSuccess(
              await runCli(['restore', 'single', id, '--target-db', target, '--output-dir', repository, '--check', '--quiet'], { env }),
            );
            assert.deepEqual(await tableFingerprints(cluster, target), await tableFingerprints(cluster, database));
            assert.equal(
              await cluster.psql(target, "SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata"),
              'large object',
            );
          },
          databaseOptions,
        );
      },
      { databaseOptions },
    );
  });

  it('tells a certificate of another authority, of another host, and an authority that is not there', async () => {
    await withScene('', async ({ cluster, database, base, run, repository }) => {
      const { caPath } = await makeCertificates(base);
      const env = cluster.env(database, tlsLogin);
      for (const [settings, message] of [
        [{ PGSSLROOTCERT: caPath }, /certificate verify failed/],
        [{ PGHOST: '127.0.0.1' }, /certificate for "localhost".* does not match host name "127\.0\.0\.1"/],
        [{ PGSSLROOTCERT: join(base, 'none.crt') }, /root certificate file .*none\.crt.* does not exist/],
      ] as const) {
        const outcome = await run(['backup', 'single', database], { env: { ...env, ...settings } });
        expectFailure(outcome, { status: 1, code: 'connection_failed', message, hint: /sslrootcert/ });
      }
      assert.deepEqual(await listFiles(repository), []);
    });
  });
});
