import type { Catalog } from '../catalog/model.js';
import { DbbackupError } from '../core/errors.js';
import type { CopyOutSource, SessionSpec } from '../native/engine.js';
import { toCopyOut } from '../planner/copy-statements.js';
import { largeObjectFormats, pageReadingSql, toLargeObjectCopyOut, toReadMethod } from '../planner/large-object-statements.js';
import { type BackupPlan, type Chunk, isRelationChunk } from '../planner/plan.js';

/** What turns a chunk of a plan into what the engine reads, for sessions whose `client_encoding` is the database's. */
export const createSources = (catalog: Catalog, plan: BackupPlan): ((chunk: Chunk) => CopyOutSource) => {
  const { encoding } = catalog.database;
  const { largeObjects } = catalog;
  const relations = new Map(catalog.relations.map((relation) => [relation.oid, relation]));
  return (chunk) => {
    if (!isRelationChunk(chunk)) {
      if (largeObjects === null) throw new DbbackupError('internal', 'the plan reads large objects, of which the catalog holds none');
      const format = largeObjectFormats[chunk.stream];
      return { name: chunk.name, format, ...toLargeObjectCopyOut(chunk, largeObjects, toReadMethod(largeObjects)) };
    }
    const planned = plan.relations[chunk.relation];
    const relation = relations.get(planned?.oid ?? -1);
    if (planned === undefined || relation === undefined)
      throw new DbbackupError('internal', `the plan reads relation ${chunk.relation}, which the catalog does not hold`);
    return { name: chunk.name, format: planned.format, ...toCopyOut(relation, planned.format, chunk, encoding) };
  };
};

/** The session for a task with these chunks: contents of large objects that fill a task have one of their own; small ones share theirs with rows. */
export const toReadingSession = (worker: SessionSpec, chunks: readonly Chunk[]): SessionSpec => {
  const [first] = chunks;
  const isContent = chunks.length === 1 && first !== undefined && !isRelationChunk(first) && first.stream === 'content';
  return isContent ? { ...worker, key: `${worker.key} large objects`, setupSql: [...worker.setupSql, ...pageReadingSql] } : worker;
};
