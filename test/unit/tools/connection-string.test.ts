import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toConnectionString } from '#src/tools/connection-string.js';

const connect = (
  options: Readonly<Record<string, string>>,
  info: Partial<{ host: string; port: string; user: string; database: string }> = {},
): string =>
  toConnectionString({ info: { host: 'db1', port: '5432', user: 'me', database: 'demo', ...info, options }, password: 'secret' });

describe('toConnectionString', () => {
  it('names the server that answered, quoted, without secrets and empty values', () => {
    const options = {
      host: 'db0,db1',
      port: '5432,5432',
      dbname: 'service=x',
      user: 'other',
      password: 'secret',
      sslpassword: 'secret',
      sslmode: 'verify-full',
      sslcert: '',
      target_session_attrs: 'any',
    };
    assert.equal(
      connect(options, { database: "it's \\ demo" }),
      "host='db1' port='5432' user='me' dbname='it\\'s \\\\ demo' sslmode='verify-full'",
    );
    assert.equal(connect({}, { host: '/var/run/post gresql' }), "host='/var/run/post gresql' port='5432' user='me' dbname='demo'");
  });

  it('gives the address that belongs to the host', () => {
    assert.match(connect({ hostaddr: '10.0.0.1' }), / hostaddr='10\.0\.0\.1'/);
    assert.match(connect({ host: 'db0,db1', hostaddr: '10.0.0.1,10.0.0.2', port: '5432' }), / hostaddr='10\.0\.0\.2'/);
    assert.match(connect({ host: 'db1,db1', hostaddr: '10.0.0.1,10.0.0.2', port: '5433,5432' }), / hostaddr='10\.0\.0\.2'/);
    assert.doesNotMatch(connect({ host: 'db8,db9', hostaddr: '10.0.0.1,10.0.0.2' }), /hostaddr/);
  });

  it('leaves out what an older libpq would refuse, unless it says something', () => {
    const defaults = {
      sslsni: '1',
      sslcertmode: 'allow',
      gssdelegation: '0',
      sslnegotiation: 'postgres',
      load_balance_hosts: 'disable',
      scram_client_key: 'secret',
    };
    assert.equal(connect(defaults), connect({}));
    assert.match(
      connect({ sslnegotiation: 'direct', require_auth: 'scram-sha-256' }),
      / sslnegotiation='direct' require_auth='scram-sha-256'$/,
    );
  });
});
