import type { Event } from '../core/events.js';

/** Where a run stands: the fold of its Events so far. */
export interface Totals {
  readonly startedAtMs: number | null;
  readonly lastAtMs: number | null;
  /** The phase that runs, or null between phases. */
  readonly phase: string | null;
  readonly taskCount: number;
  readonly finishedTaskCount: number;
  readonly relationCount: number;
  /** 0 where nothing is known yet. */
  readonly estimatedRawBytes: number;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly rowCount: number;
  readonly bytesPerSecond: number;
  readonly peakRssBytes: number;
  /** Names of the chunks in work. */
  readonly active: readonly string[];
  readonly warningCount: number;
  readonly failedChunkCount: number;
  readonly damageCount: number;
}

/** Before the first Event. */
export const noTotals: Totals = {
  startedAtMs: null,
  lastAtMs: null,
  phase: null,
  taskCount: 0,
  finishedTaskCount: 0,
  relationCount: 0,
  estimatedRawBytes: 0,
  rawBytes: 0,
  storedBytes: 0,
  rowCount: 0,
  bytesPerSecond: 0,
  peakRssBytes: 0,
  active: [],
  warningCount: 0,
  failedChunkCount: 0,
  damageCount: 0,
};

/** `totals` and one Event more. Events of unknown types change nothing but the time. */
export const foldTotals = (totals: Totals, event: Event): Totals => {
  const next: Totals = { ...totals, startedAtMs: totals.startedAtMs ?? event.atMs, lastAtMs: event.atMs };
  switch (event.type) {
    case 'snapshot.taken':
      return { ...next, relationCount: event.relationCount };
    case 'plan.ready':
      return { ...next, taskCount: event.taskCount, relationCount: event.relationCount, estimatedRawBytes: event.estimatedRawBytes };
    case 'phase.started':
      return { ...next, phase: event.phase };
    case 'phase.finished':
      return { ...next, phase: null, active: [] };
    case 'progress':
      return {
        ...next,
        estimatedRawBytes: event.estimatedRawBytes,
        rawBytes: event.rawBytes,
        storedBytes: event.storedBytes,
        rowCount: event.rowCount,
        bytesPerSecond: event.bytesPerSecond,
        peakRssBytes: Math.max(totals.peakRssBytes, event.rssBytes),
        active: event.active,
      };
    case 'chunk.finished':
      return { ...next, finishedTaskCount: totals.finishedTaskCount + 1 };
    case 'chunk.failed':
      return { ...next, failedChunkCount: totals.failedChunkCount + 1 };
    case 'warning':
      return { ...next, warningCount: totals.warningCount + 1 };
    case 'damage.found':
      return { ...next, damageCount: totals.damageCount + 1 };
    case 'backup.finished':
    case 'restore.finished':
      return { ...next, ...finished(totals, event), peakRssBytes: event.peakRssBytes };
    case 'verify.finished':
      return { ...next, ...finished(totals, event), damageCount: event.damageCount };
    default:
      return next;
  }
};

const finished = (
  totals: Totals,
  event: { readonly rawBytes: number; readonly rowCount: number; readonly bytesPerSecond: number; readonly storedBytes?: number },
): Partial<Totals> => ({
  phase: null,
  active: [],
  rawBytes: event.rawBytes,
  storedBytes: event.storedBytes ?? totals.storedBytes,
  rowCount: event.rowCount,
  bytesPerSecond: event.bytesPerSecond,
});

/** How far a run is: `fraction` within 0–0.99, null where no estimate is known or where it proved too low; `etaMs` null where it would be a guess. */
export interface Progress {
  readonly fraction: number | null;
  readonly etaMs: number | null;
}

/** Below this fraction, a remaining time is more misleading than none. */
const minFractionForEta = 0.05;

export const toProgress = (totals: Totals): Progress => {
  const { rawBytes, estimatedRawBytes, bytesPerSecond } = totals;
  if (estimatedRawBytes <= 0 || rawBytes > estimatedRawBytes) return { fraction: null, etaMs: null };
  const fraction = rawBytes / estimatedRawBytes;
  const etaMs = fraction < minFractionForEta || bytesPerSecond <= 0 ? null : ((estimatedRawBytes - rawBytes) / bytesPerSecond) * 1000;
  return { fraction: Math.min(fraction, 0.99), etaMs };
};
