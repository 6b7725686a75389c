import { checkConnectionUri } from '../core/connection-uri.js';
import type { ConnectionSpec } from '../native/session.js';
import type { ConnectionOptions } from './options.js';

/**
 * Parameters for libpq, in its order of precedence: what stands in `database` (a name, URI or keyword string) overrides what precedes it, and is overridden
 * by what follows. Errors: `usage` for a URI that libpq would misread.
 *
 * Defaults that libpq leaves to the system: a dead peer is noticed within a minute instead of hours.
 */
export const toConnectionSpec = (
  options: ConnectionOptions,
  applicationName: string,
  overrides: Readonly<Record<string, string>> = {},
): ConnectionSpec => {
  checkConnectionUri(options.database);
  const given: readonly (readonly [string, string | undefined])[] = [
    ['keepalives_idle', '20'],
    ['keepalives_interval', '10'],
    ['keepalives_count', '3'],
    // What was sent and is not acknowledged: keep-alives are silent meanwhile.
    ['tcp_user_timeout', '45000'],
    ['dbname', options.database],
    ['host', options.host],
    ['port', options.port],
    ['user', options.user],
    ['password', options.password],
    ['fallback_application_name', applicationName],
    ...Object.entries(overrides),
  ];
  const present = given.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
  return { keywords: present.map(([keyword]) => keyword), values: present.map(([, value]) => value) };
};
