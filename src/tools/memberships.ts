import { readIdentifier, scriptPatterns } from './sql-script.js';

const { identifier } = scriptPatterns;

/** A membership as pg_dumpall writes it, as a whole: what is quoted cannot pass for another part of it. */
const membershipForm = new RegExp(
  `^(GRANT (${identifier}) TO (${identifier})(?: WITH ((?:ADMIN|INHERIT|SET) (?:OPTION|TRUE|FALSE)(?:, (?:ADMIN|INHERIT|SET) (?:OPTION|TRUE|FALSE))*))?) GRANTED BY (${identifier});$`,
);
const superuserForm = new RegExp(`^ALTER ROLE (${identifier}) WITH SUPERUSER[ ;]`);

interface Membership {
  readonly sql: string;
  readonly role: string;
  readonly member: string;
  readonly grantor: string;
  readonly isAdmin: boolean;
}

/**
 * Makes the memberships among pg_dumpall's statements ones that any server accepts: `GRANTED BY` goes where the grantor is a superuser, whose grants are those of the
 * bootstrap superuser, whatever that one's name on the target; and whoever grants has got the right to before. All else stays as and where it is. Who is
 * a superuser is found in `all`, the statements of the whole script. Pure.
 */
export const orderMemberships = (statements: readonly string[], all: readonly string[]): readonly string[] => {
  const superusers = new Set(all.flatMap((sql) => toNames(superuserForm.exec(sql)?.[1])));
  const memberships: Membership[] = [];
  const others: (string | null)[] = [];
  for (const sql of statements) {
    const match = membershipForm.exec(sql);
    if (match === null) {
      others.push(sql);
      continue;
    }
    if (memberships.length === 0) others.push(null);
    const [, start = '', role = '', member = '', options = '', by = ''] = match;
    const grantor = readIdentifier(by);
    const isFree = superusers.has(grantor);
    const isAdmin = /ADMIN (?:OPTION|TRUE)/.test(options);
    memberships.push({
      sql: isFree ? `${start};` : sql,
      role: readIdentifier(role),
      member: readIdentifier(member),
      grantor: isFree ? '' : grantor,
      isAdmin,
    });
  }
  const ordered = order(memberships).map(({ sql }) => sql);
  return others.flatMap((sql) => (sql === null ? ordered : [sql]));
};

const toNames = (name: string | undefined): readonly string[] => (name === undefined ? [] : [readIdentifier(name)]);

/** Pass by pass those whose grantor's own right is granted by then; what waits for a right that the script does not grant comes where it can. */
const order = (memberships: readonly Membership[]): readonly Membership[] => {
  const toKey = (role: string, member: string): string => JSON.stringify([role, member]);
  const ordered: Membership[] = [];
  let waiting = memberships;
  while (waiting.length > 0) {
    const missing = new Set(waiting.filter(({ isAdmin }) => isAdmin).map(({ role, member }) => toKey(role, member)));
    const ready = waiting.filter(({ role, grantor }) => !missing.has(toKey(role, grantor)));
    // Grants in a circle: the server says what it thinks of them.
    if (ready.length === 0) return [...ordered, ...waiting];
    ordered.push(...ready);
    const taken = new Set(ready);
    waiting = waiting.filter((membership) => !taken.has(membership));
  }
  return ordered;
};
