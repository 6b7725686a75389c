import { DbbackupError } from '../core/errors.js';
import { obstaclesQuery } from './queries.js';
import { type QuerySession, type Row, toFlag, toNumber, toText } from './rows.js';
import type { Scope } from './scope.js';

interface Obstacle {
  readonly quotedName: string;
  readonly quotedSchema: string;
  readonly quotedRole: string;
  readonly isSequence: boolean;
  /** `schema`, `select` or `rows`, as the query documents. */
  readonly reason: string;
  readonly hasReaderRole: boolean;
  readonly oid: number;
}

const toObstacle = (row: Row): Obstacle => ({
  quotedName: toText(row, 0),
  quotedSchema: toText(row, 1),
  quotedRole: toText(row, 2),
  isSequence: toFlag(row, 3),
  reason: toText(row, 4),
  hasReaderRole: toFlag(row, 5),
  oid: toNumber(row, 6),
});

const shownCount = 5;

/** Throws `permission_denied`, naming the first relations and the statement to run, unless the role can read every saved relation and sequence in full. */
export const checkPrivileges = async (session: QuerySession, scope: Pick<Scope, 'oids' | 'rowless'>): Promise<void> => {
  const all = (await session.query(obstaclesQuery(scope.oids))).rows.map(toObstacle);
  // Where no rows are read none can be hidden, and a sequence's value is not asked for; a table is locked all the same, which takes a privilege.
  const obstacles = all.filter(({ oid, isSequence, reason }) => !scope.rowless.has(oid) || !(isSequence || reason === 'rows'));
  for (const reason of ['schema', 'select', 'rows']) {
    const found = obstacles.filter((obstacle) => obstacle.reason === reason);
    const first = found[0];
    if (first !== undefined) throw describe(first, found);
  }
};

const describe = (first: Obstacle, found: readonly Obstacle[]): DbbackupError => {
  const { quotedRole: role, reason } = first;
  const deny = (message: string, hint: string): DbbackupError =>
    new DbbackupError('permission_denied', message, { details: { object: first.quotedName, hint } });
  if (reason === 'schema') {
    const schemas = [...new Set(found.map(({ quotedSchema }) => quotedSchema))];
    return deny(`role ${role} may not use schema ${enumerate(schemas)}`, `Run: GRANT USAGE ON SCHEMA ${listSome(schemas)} TO ${role};`);
  }
  const names = found.map(({ quotedName }) => quotedName);
  if (reason === 'rows')
    return deny(
      `row security hides rows of ${enumerate(names)} from role ${role}`,
      `Run: ALTER ROLE ${role} BYPASSRLS; or back up as the owner of the tables.`,
    );
  const grants = [
    grant(
      'TABLE',
      found.filter(({ isSequence }) => !isSequence),
      role,
    ),
    grant(
      'SEQUENCE',
      found.filter(({ isSequence }) => isSequence),
      role,
    ),
  ].filter((text) => text !== '');
  const all = found.length > shownCount && first.hasReaderRole ? ` Or for all at once: GRANT pg_read_all_data TO ${role};` : '';
  return deny(`role ${role} may not read ${enumerate(names)}`, `Run: ${grants.join(' ')}${all}`);
};

const grant = (kind: 'TABLE' | 'SEQUENCE', obstacles: readonly Obstacle[], role: string): string =>
  obstacles.length === 0 ? '' : `GRANT SELECT ON ${kind} ${listSome(obstacles.map(({ quotedName }) => quotedName))} TO ${role};`;

const listSome = (names: readonly string[]): string => names.slice(0, shownCount).join(', ');

/** `a, b and 3 more`. */
const enumerate = (names: readonly string[]): string =>
  names.length <= shownCount ? names.join(', ') : `${listSome(names)} and ${names.length - shownCount} more`;
