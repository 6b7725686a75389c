import type { Finding } from './findings.js';
import type { FileResult, SegmentResult } from './results.js';

/** Facts that happened, few per task. `--json` prints exactly these lines and the journal keeps them: fields are added, never changed. */
export type Event = { readonly atMs: number } & EventBody;

export type EventBody =
  | { readonly type: 'preflight.finished'; readonly elapsedMs: number; readonly findings: readonly Finding[] }
  | {
      readonly type: 'backup.started';
      readonly id: string;
      readonly database: string;
      readonly repository: string;
      readonly pid: number;
      readonly host: string;
      readonly toolVersion: string;
    }
  | {
      readonly type: 'backup.resumed';
      readonly id: string;
      readonly database: string;
      readonly repository: string;
      readonly pid: number;
      readonly host: string;
      readonly toolVersion: string;
      /** Of the data files that are written from here on. */
      readonly attempt: number;
      /** Of tasks that had finished and whose files are sound. */
      readonly keptTaskCount: number;
      readonly keptRawBytes: number;
      /** Databases that are read under a new snapshot, because the one they had is gone. */
      readonly newSnapshotCount: number;
    }
  | {
      readonly type: 'snapshot.taken';
      readonly database?: string;
      readonly snapshot: string;
      readonly lsn: string;
      readonly relationCount: number;
    }
  | {
      readonly type: 'globals.dumped';
      readonly path: string;
      readonly sizeBytes: number;
      readonly sha256: string;
      readonly pgDumpVersion?: string;
    }
  | {
      readonly type: 'schema.dumped';
      readonly database?: string;
      readonly path: string;
      readonly sizeBytes: number;
      readonly sha256: string;
    }
  | {
      readonly type: 'plan.ready';
      readonly database?: string;
      readonly taskCount: number;
      readonly relationCount: number;
      readonly estimatedRawBytes: number;
      readonly binaryRelationCount: number;
      readonly splitRelationCount: number;
    }
  | { readonly type: 'chunk.started'; readonly database?: string; readonly taskId: number; readonly name: string }
  | {
      readonly type: 'chunk.finished';
      readonly database?: string;
      readonly taskId: number;
      readonly name: string;
      readonly rawBytes: number;
      readonly storedBytes: number;
      readonly rowCount: number;
      readonly elapsedMs: number;
      /** Present in a backup: what the manifest is folded from. */
      readonly files?: readonly FileResult[];
      readonly segments?: readonly SegmentResult[];
    }
  | {
      readonly type: 'chunk.failed';
      readonly database?: string;
      readonly taskId: number;
      readonly name: string;
      readonly code: string;
      readonly message: string;
    }
  | {
      readonly type: 'chunk.retried';
      readonly database?: string;
      readonly taskId: number;
      readonly name: string;
      /** Of the try that failed, from 1. */
      readonly attempt: number;
      readonly code: string;
      readonly message: string;
      /** Until the next try; it may be later where other tasks go first. */
      readonly delayMs: number;
    }
  | { readonly type: 'phase.started'; readonly database?: string; readonly phase: string }
  | { readonly type: 'phase.finished'; readonly database?: string; readonly phase: string; readonly elapsedMs: number }
  | {
      readonly type: 'progress';
      readonly rawBytes: number;
      readonly storedBytes: number;
      readonly rowCount: number;
      readonly estimatedRawBytes: number;
      readonly bytesPerSecond: number;
      readonly rssBytes: number;
      readonly active: readonly string[];
    }
  | { readonly type: 'notice'; readonly message: string }
  | { readonly type: 'warning'; readonly message: string; readonly object?: string }
  | {
      readonly type: 'damage.found';
      readonly path: string;
      readonly relation: string;
      readonly frame: number;
      readonly kind: string;
      readonly message: string;
    }
  | {
      readonly type: 'backup.finished';
      readonly id: string;
      readonly rowCount: number;
      readonly rawBytes: number;
      readonly storedBytes: number;
      readonly elapsedMs: number;
      readonly bytesPerSecond: number;
      readonly peakRssBytes: number;
    }
  | { readonly type: 'restore.started'; readonly id: string; readonly database: string }
  | {
      readonly type: 'restore.finished';
      readonly id: string;
      readonly rowCount: number;
      readonly rawBytes: number;
      readonly elapsedMs: number;
      readonly bytesPerSecond: number;
      readonly peakRssBytes: number;
    }
  | { readonly type: 'verify.started'; readonly id: string }
  | {
      readonly type: 'verify.finished';
      readonly id: string;
      readonly fileCount: number;
      readonly damageCount: number;
      readonly rowCount: number;
      readonly rawBytes: number;
      readonly elapsedMs: number;
      readonly bytesPerSecond: number;
    }
  | { readonly type: 'run.failed'; readonly code: string; readonly message: string; readonly hint?: string };

/** What a command calls with each Event. It must not throw. */
export type EventListener = (event: Event) => void;
