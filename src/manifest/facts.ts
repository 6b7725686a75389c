import { DbbackupError } from '../core/errors.js';
import type { Event } from '../core/events.js';
import type { Repository, RepositoryEntry } from '../storage/repository.js';
import { readJournal } from './journal.js';
import type { Manifest } from './schema.js';
import { readManifest } from './store.js';

/** What is known of a backup or a run at a glance. What its manifest or journal does not tell is null. */
export interface BackupFacts {
  readonly id: string;
  /** `damaged`: there is a manifest or journal, and it cannot be believed: `problem` says why. */
  readonly state: 'finished' | 'unfinished' | 'damaged';
  /** Null for an unfinished run. */
  readonly kind: Manifest['kind'] | null;
  /** Its name; of a cluster the first names and how many more there are. */
  readonly database: string | null;
  /** Names of all. Null for an unfinished run. */
  readonly databases: readonly string[] | null;
  /** ISO 8601, UTC. */
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** Of an unfinished run: what its finished tasks amount to. */
  readonly rowCount: number | null;
  readonly rawBytes: number | null;
  readonly storedBytes: number | null;
  readonly relationCount: number | null;
  /** `exact`: all rows are of one snapshot. Null for an unfinished run. */
  readonly consistency: string | null;
  /** Whether options left something of a database out. Null where it is not known. */
  readonly isPartial: boolean | null;
  readonly problem: string | null;
}

/** Reads the manifest of a finished backup, the journal of an unfinished run. Damage is a state, not an error; errors of the storage are thrown. */
export const readBackupFacts = async (repository: Repository, entry: RepositoryEntry): Promise<BackupFacts> => {
  try {
    if (entry.isFinished) return toFinishedFacts(await readManifest(repository.storage, entry.id));
    return toUnfinishedFacts(entry.id, (await readJournal(repository.storage, entry.id))?.events ?? []);
  } catch (error) {
    // It was deleted since it was listed.
    if (error instanceof DbbackupError && error.code === 'backup_unfinished') return toUnfinishedFacts(entry.id, []);
    if (error instanceof DbbackupError && damageCodes.has(error.code))
      return { ...noFacts, id: entry.id, state: 'damaged', problem: error.message };
    throw error;
  }
};

const damageCodes: ReadonlySet<string> = new Set(['manifest_damaged', 'format_unsupported', 'path_unsafe']);

const noFacts = {
  kind: null,
  database: null,
  databases: null,
  startedAt: null,
  finishedAt: null,
  rowCount: null,
  rawBytes: null,
  storedBytes: null,
  relationCount: null,
  consistency: null,
  isPartial: null,
  problem: null,
} as const;

const mostNamed = 3;

/** `shop`, or `crm, shop, wiki and 4 more`. */
export const nameDatabases = (names: readonly string[]): string =>
  names.length <= mostNamed ? names.join(', ') : `${names.slice(0, mostNamed).join(', ')} and ${names.length - mostNamed} more`;

const toFinishedFacts = (manifest: Manifest): BackupFacts => ({
  id: manifest.id,
  state: 'finished',
  kind: manifest.kind,
  database: nameDatabases(manifest.databases.map(({ name }) => name)),
  databases: manifest.databases.map(({ name }) => name),
  startedAt: manifest.startedAt,
  finishedAt: manifest.finishedAt,
  rowCount: manifest.totals.rowCount,
  rawBytes: manifest.totals.rawBytes,
  storedBytes: manifest.totals.storedBytes,
  relationCount: manifest.totals.relationCount,
  consistency: manifest.consistency,
  isPartial: manifest.options.selection !== null,
  problem: null,
});

const toUnfinishedFacts = (id: string, events: readonly Event[]): BackupFacts => {
  const started = events.find((event) => event.type === 'backup.started');
  const planned = events.find((event) => event.type === 'plan.ready');
  // A task that was reported twice counts once.
  const finished = [
    ...new Map(events.flatMap((event) => (event.type === 'chunk.finished' ? [[event.taskId, event] as const] : []))).values(),
  ];
  const sum = (field: 'rowCount' | 'rawBytes' | 'storedBytes'): number => finished.reduce((total, event) => total + event[field], 0);
  return {
    ...noFacts,
    id,
    state: 'unfinished',
    database: started?.database ?? null,
    startedAt: started === undefined ? null : new Date(started.atMs).toISOString(),
    rowCount: sum('rowCount'),
    rawBytes: sum('rawBytes'),
    storedBytes: sum('storedBytes'),
    relationCount: planned?.relationCount ?? null,
  };
};
