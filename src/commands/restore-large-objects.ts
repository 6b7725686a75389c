import type { Emit } from '../core/context.js';
import { DbbackupError, toDbbackupError } from '../core/errors.js';
import { runTasks } from '../engine/executor.js';
import { withProgress } from '../engine/progress.js';
import type { Manifest, ManifestLargeObjects } from '../manifest/schema.js';
import type { CopyInSegment, CopyInTask, SessionSpec } from '../native/engine.js';
import { largeObjectFormats } from '../planner/large-object-statements.js';
import { largeObjectNames } from '../planner/large-objects.js';
import {
  type LargeObjectStep,
  oidTakenState,
  roleMissingState,
  toLargeObjectStatements,
  withoutOwnersSql,
  withoutPrivilegesSql,
} from '../restore-kit/large-objects.js';
import { nameInBackup } from '../storage/layout.js';
import type { Storage } from '../storage/storage.js';
import { largeObjectPart, type RestoreLedger } from './restore-ledger.js';
import { withEngine } from './settings.js';

export interface RestoreLargeObjectsOptions {
  readonly manifest: Manifest;
  readonly largeObjects: ManifestLargeObjects;
  readonly storage: Storage & { localPath(name: string): Promise<string> };
  /** A session that writes, whose `client_encoding` is the database's. */
  readonly worker: SessionSpec;
  /** Leave all objects to the connecting role. Default: false. */
  readonly isOwnerDropped?: boolean | undefined;
  /** Leave grants out. Default: false. */
  readonly arePrivilegesDropped?: boolean | undefined;
  /** What is done now. The objects are created before anything else is loaded: a role that is missing or an OID that is taken shows at once. */
  readonly steps: readonly LargeObjectStep[];
  readonly jobs: number;
  readonly memoryLimitBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly emit: Emit;
  readonly ledger: RestoreLedger;
}

const streamOf = { create: 'metadata', write: 'content', set: 'metadata' } as const;

/**
 * Brings large objects back under their OIDs, step by step: creates them, writes their contents, sets owners, grants, comments and labels. Each segment is proved before its
 * transaction commits, and contents may come in any order and by several connections at a time. Objects take a lock one by one only while their properties are set, at
 * most 50 in a transaction.
 *
 * Errors: `data_damaged`, `target_not_empty` for an OID that is taken, `role_missing` naming role and object, `permission_denied`, those of connecting, `cancelled`.
 */
export const restoreLargeObjects = async (options: RestoreLargeObjectsOptions): Promise<void> => {
  const { largeObjects, steps, jobs, memoryLimitBytes, signal, emit } = options;
  const tasks = new Map<LargeObjectStep, readonly CopyInTask[]>();
  let lastTaskId = 0;
  for (const step of steps) {
    const segments = await toSegments(options, step);
    const worker = { ...options.worker, key: `${options.worker.key} large objects` };
    tasks.set(
      step,
      segments.map((segment): CopyInTask => {
        lastTaskId += 1;
        return { kind: 'copyIn', taskId: lastTaskId, session: worker, segments: [segment] };
      }),
    );
  }
  const all = [...tasks.values()].flat();
  const nameOf = (taskId: number): string => all[taskId - 1]?.segments[0]?.name ?? '';
  const listener = {
    onStarted: ({ origin }: { readonly origin: number }) => emit({ type: 'chunk.started', taskId: origin, name: nameOf(origin) }),
    onFinished: async (
      _: unknown,
      result: { taskId: number; rawBytes: number; storedBytes: number; rowCount: number; elapsedMs: number },
    ) => {
      const { taskId, rawBytes, storedBytes, rowCount, elapsedMs } = result;
      emit({ type: 'chunk.finished', taskId, name: nameOf(taskId), rawBytes, storedBytes, rowCount, elapsedMs });
    },
    onFailed: ({ origin }: { readonly origin: number }, { code, message }: DbbackupError) =>
      emit({ type: 'chunk.failed', taskId: origin, name: nameOf(origin), code, message }),
  };
  try {
    await withEngine({ jobs, memoryLimitBytes, signal }, (engine) => {
      const run = async (): Promise<void> => {
        for (const stepTasks of tasks.values()) {
          await runTasks(
            engine,
            stepTasks.map((spec) => ({ spec, origin: spec.taskId })),
            jobs,
            listener,
          );
        }
      };
      // Creating is over before there is anything to tell, and its bytes come again with the rest.
      if (!steps.includes('write')) return run();
      return withProgress(
        { engine, emit, estimatedRawBytes: sum(steps.map((step) => largeObjects[streamOf[step]].rawBytes)), nameOf },
        run,
      );
    });
  } catch (error) {
    throw explain(toDbbackupError(error));
  }
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const toSegments = async (options: RestoreLargeObjectsOptions, step: LargeObjectStep): Promise<readonly CopyInSegment[]> => {
  const { manifest, largeObjects, storage } = options;
  const stream = streamOf[step];
  const { segments } = largeObjects[stream];
  const statements = toLargeObjectStatements(step, largeObjects.pageSizeBytes);
  const switches = [
    ...(options.isOwnerDropped === true ? [withoutOwnersSql] : []),
    ...(options.arePrivilegesDropped === true ? [withoutPrivilegesSql] : []),
  ];
  // Properties are set in many transactions, and can be set twice.
  const toPart = (number: number): string | null => (step === 'set' ? null : largeObjectPart(step, number));
  const pending = [...segments.entries()].filter(([number]) => {
    const part = toPart(number);
    return part === null || !options.ledger.isDone(part);
  });
  return Promise.all(
    pending.map(async ([number, { file: index, ...range }]) => {
      const note = toPart(number);
      const noteSql = note === null ? null : options.ledger.noteSql(note);
      const file = manifest.files[index];
      if (file === undefined) throw new DbbackupError('internal', `large objects name data file ${index}`);
      const part = segments.length > 1 ? ` segment ${number + 1}/${segments.length}` : '';
      return {
        name: `${largeObjectNames[stream]}${part}`,
        path: await storage.localPath(nameInBackup(manifest.id, file.path)),
        codec: file.codec,
        format: largeObjectFormats[stream],
        ...range,
        ...statements,
        // First in the transaction that the first statement begins.
        beginSql: [
          ...switches,
          ...statements.beginSql.slice(0, 1),
          ...(noteSql === null ? [] : [noteSql]),
          ...statements.beginSql.slice(1),
        ],
      };
    }),
  );
};

/** What the statements themselves raise, by the SQLSTATE they raise it with. */
const raised = { [oidTakenState]: 'target_not_empty', [roleMissingState]: 'role_missing' } as const;

const explain = (error: DbbackupError): DbbackupError => {
  const { sqlstate } = error.details;
  if (sqlstate !== oidTakenState && sqlstate !== roleMissingState) return error;
  return new DbbackupError(raised[sqlstate], error.message, { cause: error, details: error.details });
};
