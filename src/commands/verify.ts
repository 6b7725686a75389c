import { displayText } from '../catalog/names.js';
import { createEmit, systemClock } from '../core/context.js';
import type { Finding } from '../core/results.js';
import { runTasks } from '../engine/executor.js';
import { withProgress } from '../engine/progress.js';
import type { Manifest } from '../manifest/schema.js';
import { listArchives, readManifest } from '../manifest/store.js';
import type { CheckTask, SegmentSpec } from '../native/engine.js';
import { hashFile } from '../native/hash-file.js';
import { largeObjectFormats } from '../planner/large-object-statements.js';
import { largeObjectNames } from '../planner/large-objects.js';
import { kitChecksumsPath, readKitChecksums, toKitFiles } from '../restore-kit/restore-kit.js';
import { backupNames, nameInBackup } from '../storage/layout.js';
import { openLocalStorage } from '../storage/local-storage.js';
import { openRepository } from '../storage/repository.js';
import type { LocalStorage } from '../storage/storage.js';
import type { Damage, RunContext, VerifyOptions, VerifyReport } from './options.js';
import { toBytesPerSecond, toJobs, withEngine } from './settings.js';

/**
 * Reads every byte of a backup: size and checksum of each file, each frame, rows and digests of each relation and of the large objects. Damage is what the report lists, not an error.
 * Errors: `repository_not_found`, `backup_not_found`, `backup_unfinished`, `manifest_damaged`, `path_unsafe`, `io_error`, `cancelled`.
 */
export const verify = async (options: VerifyOptions, context: RunContext = {}): Promise<VerifyReport> => {
  const startedMs = systemClock.monotonicMs();
  const jobs = toJobs(options.jobs);
  const emit = createEmit([context.onEvent]);
  const storage = openLocalStorage(options.outputDir);
  const { id } = await (await openRepository(storage)).findFinished(options.id);
  const manifest = await readManifest(storage, id);
  emit({ type: 'verify.started', id });

  const damage: Damage[] = [];
  const note = (found: Damage): void => {
    damage.push(found);
    emit({
      type: 'damage.found',
      path: found.path,
      relation: found.relation,
      frame: found.frame,
      kind: found.kind,
      message: found.message,
    });
  };
  const totals = { rowCount: 0, rawBytes: 0 };
  for (const found of await checkHashedFiles(storage, manifest, context.signal)) note(found);

  const tasks = await toCheckTasks(storage, manifest);
  const nameOf = (taskId: number, source: number): string => tasks[taskId - 1]?.spec.segments[source]?.name ?? '';
  await withEngine({ jobs, memoryLimitBytes: options.memoryLimitBytes, signal: context.signal }, (engine) =>
    withProgress({ engine, emit, estimatedRawBytes: manifest.totals.rawBytes, nameOf }, () =>
      runTasks(engine, tasks, jobs, {
        onStarted: ({ spec, origin }) => {
          emit({ type: 'chunk.started', taskId: spec.taskId, name: origin.path });
        },
        onFinished: async ({ origin }, { taskId, rawBytes, storedBytes, rowCount, elapsedMs, findings }) => {
          totals.rowCount += rowCount;
          totals.rawBytes += rawBytes;
          for (const finding of findings) note(toDamage(origin.path, finding, origin.relations));
          emit({ type: 'chunk.finished', taskId, name: origin.path, rawBytes, storedBytes, rowCount, elapsedMs });
        },
        onFailed: ({ spec, origin }, error) => {
          emit({ type: 'chunk.failed', taskId: spec.taskId, name: origin.path, code: error.code, message: error.message });
        },
      }),
    ),
  );

  const elapsedMs = Math.round(systemClock.monotonicMs() - startedMs);
  const { fileCount, relationCount } = manifest.totals;
  const speed = { elapsedMs, bytesPerSecond: toBytesPerSecond(totals.rawBytes, elapsedMs) };
  emit({ type: 'verify.finished', id, fileCount, damageCount: damage.length, ...totals, ...speed });
  return { id, fileCount, relationCount, ...totals, ...speed, damage };
};

/** One task a data file; `origin` names the file and the relations in it. */
const toCheckTasks = async (storage: LocalStorage, manifest: Manifest) => {
  const segments = manifest.files.map((): SegmentSpec[] => []);
  for (const database of manifest.databases) {
    const prefix = manifest.kind === 'cluster' ? `${displayText(database.name)}: ` : '';
    for (const relation of database.relations) {
      const name = `${prefix}${relation.schema}.${relation.name}`;
      for (const { file, ...range } of relation.segments) segments[file]?.push({ name, format: relation.format, ...range });
    }
    const { largeObjects } = database;
    if (largeObjects === null) continue;
    for (const stream of ['content', 'metadata'] as const) {
      const [name, format] = [`${prefix}${largeObjectNames[stream]}`, largeObjectFormats[stream]];
      for (const { file, ...range } of largeObjects[stream].segments) segments[file]?.push({ name, format, ...range });
    }
  }
  const tasks = manifest.files.map(async (file, index) => {
    // A segment of no rows may have no bytes: it comes before the one that begins where it does.
    const own = (segments[index] ?? []).sort((a, b) => a.offset - b.offset || a.storedBytes - b.storedBytes);
    const spec: CheckTask = {
      kind: 'check',
      taskId: index + 1,
      path: await storage.localPath(nameInBackup(manifest.id, file.path)),
      sizeBytes: file.sizeBytes,
      checksum: file.checksum,
      checksumName: manifest.checksum,
      codec: file.codec,
      segments: own,
    };
    return { spec, origin: { path: file.path, relations: [...new Set(own.map(({ name }) => name))] } };
  });
  return Promise.all(tasks);
};

/** Files whose SHA-256 is known: schemas by the manifest, `restore.sh` and what it reads by a list of its own. Without them the rows are there and cannot be restored. */
const checkHashedFiles = async (storage: LocalStorage, manifest: Manifest, signal: AbortSignal | undefined): Promise<readonly Damage[]> => {
  const expected = new Map<string, string>();
  const kit = await readKitChecksums(storage, manifest.id);
  for (const [path, sha256] of kit ?? []) expected.set(path, sha256);
  for (const path of [backupNames.restoreScript, ...toKitFiles(manifest).keys()]) if (!expected.has(path)) expected.set(path, '');
  for (const { path, sha256 } of listArchives(manifest)) expected.set(path, sha256);
  const damage: Damage[] = [];
  const note = (path: string, kind: string, message: string): void =>
    void damage.push({ path, relation: '', frame: -1, offset: -1, kind, message });
  if (kit === null)
    note(kitChecksumsPath, 'missing', 'the list of checksums that restore.sh relies on is missing or is not what was written');
  for (const [path, sha256] of expected) {
    const name = nameInBackup(manifest.id, path);
    if ((await storage.stat(name)) === null) note(path, 'missing', 'the file is missing');
    else if (sha256 === '') note(path, 'checksum', 'the file is in no list of checksums');
    else if ((await hashFile(await storage.localPath(name), 'sha256', { signal })) !== sha256)
      note(path, 'checksum', 'the file’s SHA-256 is not the one that was written');
  }
  return damage;
};

const mostNamed = 5;

/** Damage outside every segment, or of a file as a whole, may touch any relation in the file. */
const toDamage = (path: string, { kind, segment, frame, offset, message }: Finding, relations: readonly string[]): Damage => {
  const rest = relations.length > mostNamed ? ` and ${relations.length - mostNamed} more` : '';
  return { path, relation: segment === '' ? `${relations.slice(0, mostNamed).join(', ')}${rest}` : segment, frame, offset, kind, message };
};
