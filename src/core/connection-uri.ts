import { DbbackupError } from './errors.js';

/**
 * Refuses a connection URI whose password holds an unescaped `@`, `/` or `:`. libpq would take the password's tail for a host or port and print it in its error.
 * Names and keyword strings pass. Errors: `usage`, without any part of the URI.
 */
export const checkConnectionUri = (connection: string): void => {
  const rest = /^postgres(?:ql)?:\/\/(.*)$/s.exec(connection)?.[1];
  if (rest === undefined) return;
  // libpq's own reading: user information ends at the first @, unless a / comes before it.
  const userInfo = /^[^@/]*@/.exec(rest)?.[0] ?? '';
  const afterUser = rest.slice(userInfo.length);
  const hosts = /^[^/?]*/.exec(afterUser)?.[0] ?? '';
  const path = /^[^?]*/.exec(afterUser.slice(hosts.length))?.[0] ?? '';
  if (path.includes('@') || !hosts.split(',').every((host) => hostPattern.test(host))) {
    throw new DbbackupError('usage', 'the connection URI holds a character that must be percent-encoded, or a port that is no number', {
      details: { hint: 'In a user name, password or database name write @ as %40, : as %3A, / as %2F and % as %25.' },
    });
  }
};

/** A host, an IPv6 address in brackets, a percent-encoded socket directory, or nothing; then perhaps a port. */
const hostPattern = /^(?:\[[^\]@]*\]|[^\s[\]:@#]*)(?::\d*)?$/;
