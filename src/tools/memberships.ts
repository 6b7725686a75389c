import { readIdentifier, scriptPatterns } from './sql-script.js';

const { identifier } = scriptPatterns;

/** A membership as pg_dumpall or `orderMemberships` writes it, as a whole: what is quoted cannot pass for another part of it. */
const membershipForm = new RegExp(
  `^(GRANT (${identifier}) TO (${identifier})(?: WITH ((?:ADMIN|INHERIT|SET) (?:OPTION|TRUE|FALSE)(?:, (?:ADMIN|INHERIT|SET) (?:OPTION|TRUE|FALSE))*))?)(?: GRANTED BY (${identifier}))?;$`,
);
const superuserForm = new RegExp(`^ALTER ROLE (${identifier}) WITH SUPERUSER[ ;]`);

interface Membership {
  /** Without `GRANTED BY` and the semicolon. */
  readonly start: string;
  readonly by: string;
  readonly role: string;
  readonly member: string;
  /** Empty where it does not matter. */
  readonly grantor: string;
  readonly isAdmin: boolean;
}

/** The right of `member` to grant `role`, as an element of a set. */
export const toAdminKey = (role: string, member: string): string => JSON.stringify([role, member]);

/**
 * Makes the memberships among pg_dumpall's statements ones that any server accepts: `GRANTED BY` goes where the grantor is a superuser, whose grants are those of the
 * bootstrap superuser, whatever that one's name on the target; where the grantor has no right to grant, which only servers before 16 put up with; and whoever grants has
 * got the right to before. All else stays as and where it is. `all` are the statements of the whole script, `existing` the rights of the target (`toAdminKey`). Pure.
 */
export const orderMemberships = (
  statements: readonly string[],
  all: readonly string[],
  existing: ReadonlySet<string> = new Set(),
): readonly string[] => {
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
    const isAdmin = /ADMIN (?:OPTION|TRUE)/.test(options);
    memberships.push({
      start,
      by,
      role: readIdentifier(role),
      member: readIdentifier(member),
      grantor: superusers.has(grantor) ? '' : grantor,
      isAdmin,
    });
  }
  const ordered = order(memberships, existing).map(({ start, by, grantor }) =>
    grantor === '' ? `${start};` : `${start} GRANTED BY ${by};`,
  );
  return others.flatMap((sql) => (sql === null ? ordered : [sql]));
};

const toNames = (name: string | undefined): readonly string[] => (name === undefined ? [] : [readIdentifier(name)]);

/** Pass by pass those whose grantor's own right is granted by then. What waits for a right that nothing gives, or for itself in a circle, loses its grantor. */
const order = (memberships: readonly Membership[], existing: ReadonlySet<string>): readonly Membership[] => {
  const granted = new Set(existing);
  const ordered: Membership[] = [];
  let waiting = memberships;
  while (waiting.length > 0) {
    const ready = waiting.filter(({ role, grantor }) => grantor === '' || granted.has(toAdminKey(role, grantor)));
    const taken = ready.length > 0 ? ready : pickHopeless(waiting);
    ordered.push(...(ready.length > 0 ? ready : taken.map((membership) => ({ ...membership, grantor: '' }))));
    for (const { role, member, isAdmin } of taken) if (isAdmin) granted.add(toAdminKey(role, member));
    const done = new Set(taken);
    waiting = waiting.filter((membership) => !done.has(membership));
  }
  return ordered;
};

/** Those whose grantor gets the right to grant from no other one that waits; of a circle, one that others wait for. */
const pickHopeless = (waiting: readonly Membership[]): readonly Membership[] => {
  const admins = waiting.filter(({ isAdmin }) => isAdmin);
  const coming = new Set(admins.map(({ role, member }) => toAdminKey(role, member)));
  const hopeless = waiting.filter(({ role, grantor }) => !coming.has(toAdminKey(role, grantor)));
  return hopeless.length > 0 ? hopeless : admins.slice(0, 1);
};
