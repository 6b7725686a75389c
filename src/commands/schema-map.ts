import { DbbackupError } from '../core/errors.js';
import type { ManifestDatabase } from '../manifest/schema.js';
import type { Session } from '../native/session.js';
import { toMentionsQuery } from './schema-mentions.js';

/** Renaming schemas once a restore is done. SQL text is never rewritten, so what mentions a schema in text of its own makes it unsafe. */

export type SchemaMap = Readonly<Record<string, string>>;

/** Refuses a map that no target could take: a schema that the backup lacks, a new name that it has or that is the server's own. Pure. Errors: `usage`. */
export const checkMappedNames = (database: ManifestDatabase, map: SchemaMap): void => {
  const saved = new Set(database.schemas.map(({ name }) => name));
  const targets = Object.values(map);
  if (new Set(targets).size < targets.length) throw new DbbackupError('usage', 'two schemas cannot be given one name');
  for (const [from, to] of Object.entries(map)) {
    if (!saved.has(from))
      throw new DbbackupError('usage', `the backup holds no schema ${JSON.stringify(from)}`, { details: { object: from } });
    if (saved.has(to))
      throw new DbbackupError('usage', `the backup itself holds a schema ${JSON.stringify(to)}`, { details: { object: to } });
    if (to === '' || to.startsWith('pg_') || to === 'information_schema')
      throw new DbbackupError('usage', `no schema can be given the name ${JSON.stringify(to)}: it is the server's own`, {
        details: { object: to },
      });
  }
};

/**
 * Refuses, before anything is restored, a new name that the target has. `isEmpty`: the target holds nothing of a user's; else the old name must not be there either.
 * Errors: `target_exists`.
 */
export const checkSchemaMap = async (session: Session, map: SchemaMap, isEmpty: boolean): Promise<void> => {
  for (const [from, to] of Object.entries(map)) {
    const { rows } = await session.query(
      'SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = $1 OR (nspname = $2 AND $3::pg_catalog.bool)',
      [to, from, String(!isEmpty)],
    );
    const name = rows[0]?.[0];
    if (typeof name !== 'string') continue;
    throw new DbbackupError('target_exists', `schema ${JSON.stringify(name)} exists in the target already`, {
      details: { object: name, hint: 'Restore into an empty database, or choose another name.' },
    });
  }
};

/**
 * Refuses to go on where something mentions a schema in text: to be called when definitions are there and no rows yet, and again when all is there, since triggers, policies, rules and indexes come
 * last. Errors: `rename_unsafe` naming it.
 */
export const refuseMentions = async (session: Session, map: SchemaMap): Promise<void> => {
  for (const from of Object.keys(map)) {
    const [found] = (await session.query(toMentionsQuery(session.info().serverVersion), [from])).rows;
    if (found === undefined) continue;
    throw new DbbackupError('rename_unsafe', `schema ${JSON.stringify(from)} cannot be renamed: ${found[0]} ${found[1]}`, {
      details: { object: found[0] ?? '' },
    });
  }
};

/** Renames the schemas, all or none. */
export const renameSchemas = async (session: Session, map: SchemaMap): Promise<void> => {
  const statements: string[] = [];
  for (const [from, to] of Object.entries(map)) {
    const sql = `SELECT pg_catalog.format('ALTER SCHEMA %I RENAME TO %I', $1::pg_catalog.text, $2::pg_catalog.text)`;
    statements.push((await session.query(sql, [from, to])).rows[0]?.[0] ?? '');
  }
  await session.query(['BEGIN', ...statements, 'COMMIT'].join('; '));
};
