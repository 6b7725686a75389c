import type { Event } from '../core/events.js';
import type { Finding } from '../core/findings.js';
import { formatBytes, formatCount, formatDuration, formatPlural, formatRate } from '../core/units.js';
import { type Totals, toProgress } from '../metrics/totals.js';

/** How much an Event matters to a reader: `problem` is shown even with --quiet, `detail` only with --verbose. */
export type Weight = 'problem' | 'step' | 'detail';

export interface Description {
  readonly weight: Weight;
  readonly text: string;
}

const step = (text: string): Description => ({ weight: 'step', text });
const detail = (text: string): Description => ({ weight: 'detail', text });
const problem = (text: string): Description => ({ weight: 'problem', text });

/** Names the database of an Event where a run is about several. Chunks are named with theirs. */
const of = ({ database }: { readonly database?: string }): string => (database === undefined ? '' : `${database}: `);

const describeFinding = ({ check, status, measured, remedy }: Finding): string =>
  `${check} ${status}: ${measured}${remedy === null ? '' : `. ${remedy.replace(/\.$/, '')}`}`;

/** An Event in words. Null for those that are shown in another way: progress, the end of a run, its failure. */
export const describeEvent = (event: Event): Description | null => {
  switch (event.type) {
    case 'preflight.finished':
      return event.findings.length === 0
        ? detail('preflight: nothing to note')
        : step(`preflight: ${event.findings.map(describeFinding).join('; ')}`);
    case 'backup.started':
      return step(`backing up ${event.database} as ${event.id} in ${event.repository}`);
    case 'backup.resumed':
      return step(
        `resuming ${event.id} of ${event.database} in ${event.repository}: ${formatPlural(event.keptTaskCount, 'task')} of before stay, ${formatBytes(event.keptRawBytes)}` +
          (event.newSnapshotCount === 0 ? '' : '; the rest is read under a new snapshot'),
      );
    case 'snapshot.taken':
      return step(`${of(event)}snapshot ${event.snapshot} taken at ${event.lsn}, ${formatPlural(event.relationCount, 'relation')} locked`);
    case 'schema.dumped':
      return step(`${of(event)}schema saved, ${formatBytes(event.sizeBytes)}`);
    case 'globals.dumped':
      return step(`roles and tablespaces saved, ${formatBytes(event.sizeBytes)}`);
    case 'plan.ready':
      return step(
        `${of(event)}${formatPlural(event.relationCount, 'relation')} in ${formatPlural(event.taskCount, 'task')}, about ${formatBytes(event.estimatedRawBytes)}` +
          `; ${formatCount(event.binaryRelationCount)} as binary, ${formatCount(event.splitRelationCount)} split`,
      );
    case 'chunk.started':
      return detail(`${event.name}: started`);
    case 'chunk.finished':
      return detail(
        `${event.name}: ${formatPlural(event.rowCount, 'row')}, ${formatBytes(event.rawBytes)} to ${formatBytes(event.storedBytes)} in ${formatDuration(event.elapsedMs)}` +
          `, ${formatRate((event.rawBytes * 1000) / Math.max(1, event.elapsedMs))}`,
      );
    case 'chunk.failed':
      // Who cancels a run knows that its chunks end.
      return (event.code === 'cancelled' ? detail : problem)(`${event.name} failed: ${event.message} (${event.code})`);
    case 'chunk.retried':
      return step(`${event.name}: ${event.message} (${event.code}); tried again after ${formatDuration(event.delayMs)}`);
    case 'phase.started':
      return step(`${of(event)}${event.phase}`);
    case 'phase.finished':
      return detail(`${of(event)}${event.phase}: done in ${formatDuration(event.elapsedMs)}`);
    case 'notice':
      return step(`notice: ${event.message}`);
    case 'warning':
      return problem(event.object === undefined ? `warning: ${event.message}` : `warning: ${event.object}: ${event.message}`);
    case 'damage.found':
      return problem(
        `damage: ${[event.path, event.relation, event.frame < 0 ? '' : `frame ${event.frame}`].filter((part) => part !== '').join(', ')}: ${event.message} (${event.kind})`,
      );
    case 'restore.started':
      return step(`restoring ${event.id} into ${event.database}`);
    case 'verify.started':
      return step(`verifying ${event.id}`);
    default:
      return null;
  }
};

/** `42 %, 1.23 GB of about 2.90 GB, 210 MB/s, ETA 8.1 s`, without what is not known. */
export const describeProgress = (totals: Totals): string => {
  const { fraction, etaMs } = toProgress(totals);
  return [
    fraction === null ? '' : `${Math.floor(fraction * 100)} %`,
    fraction === null ? formatBytes(totals.rawBytes) : `${formatBytes(totals.rawBytes)} of about ${formatBytes(totals.estimatedRawBytes)}`,
    formatRate(totals.bytesPerSecond),
    etaMs === null ? '' : `ETA ${formatEta(etaMs)}`,
  ]
    .filter((part) => part !== '')
    .join(', ');
};

/** Whole seconds: tenths would pretend to know. */
const formatEta = (etaMs: number): string => (etaMs < 59_500 ? `${Math.max(1, Math.round(etaMs / 1000))} s` : formatDuration(etaMs));
