import { join } from 'node:path';
import { toSelection } from '../core/selection.js';
import { readManifest } from '../manifest/store.js';
import { processHost } from '../native/host.js';
import { nameInBackup } from '../storage/layout.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import { chooseTool, findTools } from '../tools/find-tools.js';
import { listArchive, listSchemaIds } from '../tools/restore-archive.js';
import { unpackSchema, withScratch } from './archives.js';
import type { RestoreListOptions, RestoreListReport } from './options.js';
import { chooseRestore } from './restore-choice.js';
import { chooseDatabase } from './restore-parts.js';
import { areSchemasNamed, emptyTarget, scopeRestore } from './restore-scope.js';

/** Entries that are restored after the rows. */
const postDataTypes: ReadonlySet<string> = new Set([
  'INDEX',
  'INDEX ATTACH',
  'CONSTRAINT',
  'FK CONSTRAINT',
  'TRIGGER',
  'RULE',
  'POLICY',
  'ROW SECURITY',
  'STATISTICS',
  'PUBLICATION',
  'PUBLICATION TABLE',
  'PUBLICATION TABLES IN SCHEMA',
]);

/**
 * Tells what `restore` would do to an empty database, and touches none. Needs pg_restore, no server.
 * Errors: `usage` for a pattern that matches nothing, `backup_not_found`, `backup_unfinished`, `manifest_damaged`, `tools_missing`, `tools_too_old`, `tool_failed`.
 */
export const listRestore = async (options: RestoreListOptions): Promise<RestoreListReport> => {
  const storage = openLocalStorage(options.outputDir);
  const { id } = await (await openRepository(storage)).findFinished(options.id);
  const manifest = await readManifest(storage, id);
  const database = chooseDatabase(manifest, options.database);
  const choice = chooseRestore(database, toSelection(options.selection ?? {}));
  const tools = await findTools({ names: ['pg_restore'], binDir: options.pgBinDir, host: processHost });
  const pgRestore = chooseTool(tools, 'pg_restore', Number.parseInt(database.schema.pgDumpVersion, 10));
  return withScratch(async (scratch) => {
    const archivePath = join(scratch, 'schema.dump');
    await unpackSchema(await storage.localPath(nameInBackup(id, database.schema.path)), archivePath);
    const archive = { pgRestore, archivePath, host: processHost };
    const listed = {
      entries: await listArchive(archive),
      listIds: (schemas: readonly string[], excluded: readonly string[]) => listSchemaIds(archive, schemas, excluded),
    };
    const scope = await scopeRestore(database, listed, choice, emptyTarget, areSchemasNamed(manifest));
    const loaded = scope.database.relations.filter(({ segments }) => segments.length > 0);
    const { sections } = choice.selection;
    const isPost = new Set<number>();
    for (const { dumpId, type, dependencies } of scope.entries) {
      if (postDataTypes.has(type) || (type === 'COMMENT' && dependencies.some((id) => isPost.has(id)))) isPost.add(dumpId);
    }
    const toLines = (section: 'pre-data' | 'post-data'): readonly string[] =>
      sections.includes(section)
        ? scope.entries.filter(({ dumpId }) => isPost.has(dumpId) === (section === 'post-data')).map(({ line }) => line)
        : [];
    return {
      id,
      relations: loaded.map(({ schema, name, rowCount, rawBytes }) => ({ schema, name, rowCount, rawBytes })),
      sequenceCount: scope.database.sequences.length,
      materializedViewCount: scope.database.materializedViews.length,
      hasLargeObjects: scope.database.largeObjects !== null,
      preData: toLines('pre-data'),
      postData: toLines('post-data'),
      rowCount: loaded.reduce((sum, { rowCount }) => sum + rowCount, 0),
      rawBytes: loaded.reduce((sum, { rawBytes }) => sum + rawBytes, 0),
      warnings: scope.warnings,
    };
  });
};
