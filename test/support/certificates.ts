import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChildOrThrow } from './child.js';

export interface Certificates {
  readonly caPath: string;
  readonly certificatePath: string;
  readonly keyPath: string;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];

/** Makes a certificate authority and a server certificate for `localhost`, and for no other name, in `directory`, good for two days. */
export const makeCertificates = async (directory: string): Promise<Certificates> => {
  const at = (name: string): string => join(directory, name);
  const openssl = (...args: readonly string[]): Promise<string> => runChildOrThrow('openssl', args);
  await openssl(
    ...['req', '-x509', ...newKey, '-keyout', at('ca.key'), '-out', at('ca.crt'), '-days', '2', '-subj', '/CN=dbbackup test authority'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  );
  await openssl('req', ...newKey, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', '/CN=localhost');
  await writeFile(at('server.ext'), 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n');
  await openssl(
    ...['x509', '-req', '-in', at('server.csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'],
    ...['-out', at('server.crt'), '-days', '2', '-extfile', at('server.ext')],
  );
  return { caPath: at('ca.crt'), certificatePath: at('server.crt'), keyPath: at('server.key') };
};
