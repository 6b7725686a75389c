import { randomInt } from 'node:crypto';
import { createLocalLeader } from '../catalog/snapshot.js';
import { systemClock } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import { readToolVersion } from '../core/version.js';
import { attachKeeper, type Keeper } from '../keeper/keeper.js';
import { createJournal, type Journal, readJournal, reopenJournal } from '../manifest/journal.js';
import type { ManifestArchive } from '../manifest/schema.js';
import { hashFile } from '../native/hash-file.js';
import {
  type CheckedTasks,
  type ChunkFinished,
  checkFinished,
  findLastAttempt,
  findLastTaskId,
  foldFinished,
  readStart,
  removeLeftovers,
} from '../resume/finished-tasks.js';
import { type DatabaseHistory, findNeed, hasRows, type Need } from '../resume/history.js';
import { freeReserve, storeReserve } from '../resume/reserve.js';
import { type HeldLock, takeRunLock } from '../resume/run-lock.js';
import { type RunRecord, readRunRecord, storeRunRecord } from '../resume/run-record.js';
import { readSnapshotStates } from '../resume/snapshot-state.js';
import { nameInBackup, newBackupId } from '../storage/layout.js';
import { openOrCreateRepository, openRepository, type Repository } from '../storage/repository.js';
import type { LocalStorage } from '../storage/storage.js';
import { findDifference, findNewestRun, type RunIdentity, toNotResumable } from './find-run.js';
import type { BackupOptions } from './options.js';
import type { toBackupSettings } from './settings.js';
import type { AdoptedSnapshot } from './wave.js';

/** A run that may begin, or go on: its lock is held. */
export interface OpenRun {
  readonly id: string;
  readonly title: string;
  readonly databases: RunRecord['databases'];
  readonly lock: HeldLock;
  readonly journal: Journal;
  /** Null for a new run. */
  readonly resumed: ResumedRun | null;
}

/** What earlier attempts of a run have left. */
export interface ResumedRun {
  /** Milliseconds since 1970, of the first attempt. */
  readonly startedAtMs: number;
  /** Of the data files that are written from now on. */
  readonly attempt: number;
  readonly lastTaskId: number;
  readonly checked: CheckedTasks;
  /** By the database's number. */
  readonly databases: ReadonlyMap<number, { readonly history: DatabaseHistory; readonly need: Need }>;
  readonly adopted: ReadonlyMap<number, AdoptedSnapshot>;
  /** What is there of roles and tablespaces, if it can stay. */
  readonly globals: ManifestArchive | null;
}

export interface RunRequest extends RunIdentity {
  /** What the backup's ID begins with. */
  readonly stem: string;
  readonly connection: string;
  readonly databases: RunRecord['databases'];
  readonly options: RunRecord['options'];
  readonly backupOptions: BackupOptions;
  readonly settings: ReturnType<typeof toBackupSettings>;
  readonly storage: LocalStorage;
  readonly signal: AbortSignal | undefined;
}

/** A new run, or the one to be continued. Errors: those of `resume`. */
export const openRun = async (request: RunRequest): Promise<OpenRun> => {
  const { storage } = request;
  const { resume } = request.backupOptions;
  const repository = resume?.id === undefined ? await openOrCreateRepository(storage) : await openRepository(storage);
  const id = resume === undefined ? null : (resume.id ?? (await findNewestRun(repository, request)));
  return id === null ? openNewRun(request) : openOldRun(request, repository, id);
};

const openNewRun = async (request: RunRequest): Promise<OpenRun> => {
  const { storage, stem, kind, title, server, connection, databases, options } = request;
  const now = new Date(systemClock.nowMs());
  const id = newBackupId(stem, now, randomInt);
  // First of all: whatever comes next, there is a run that can be listed and deleted.
  const journal = await createJournal(storage, id);
  let lock: HeldLock | null = null;
  try {
    lock = await takeRunLock(storage, id, now);
    const head = { format: 'dbbackup-run', formatVersion: 1, startedAt: now.toISOString(), toolVersion: readToolVersion() } as const;
    await storeRunRecord(storage, id, { ...head, kind, title, server, connection, databases, options });
    await storeReserve(storage, id);
    return { id, title, databases, lock, journal, resumed: null };
  } catch (error) {
    await journal.close();
    await lock?.release();
    throw error;
  }
};

const openOldRun = async (request: RunRequest, repository: Repository, id: string): Promise<OpenRun> => {
  const { storage } = request;
  if ((await repository.find(id)).isFinished) throw toNotResumable(id, 'it is finished');
  const lock = await takeRunLock(storage, id, new Date(systemClock.nowMs()));
  const keepers: Keeper[] = [];
  try {
    if ((await repository.find(id)).isFinished) throw toNotResumable(id, 'it is finished');
    const record = await readRunRecord(storage, id);
    if (record === null) throw toNotResumable(id, 'it ended before it had read anything');
    const difference = findDifference(record, request);
    if (difference !== null) throw toNotResumable(id, difference);
    return { id, title: record.title, databases: record.databases, lock, ...(await takeUp(request, id, record, keepers)) };
  } catch (error) {
    // What they hold is worth as much as before.
    await Promise.all(keepers.map((keeper) => keeper.leave()));
    await lock.release();
    throw error;
  }
};

/** `keepers` takes those that are attached to, so that they can be let go after an error. */
const takeUp = async (
  request: RunRequest,
  id: string,
  record: RunRecord,
  keepers: Keeper[],
): Promise<Pick<OpenRun, 'journal' | 'resumed'>> => {
  const { storage, settings, signal, backupOptions } = request;
  const content = await readJournal(storage, id);
  if (content === null) throw toNotResumable(id, 'it has no journal');
  if (content.events.length === 0) throw toNotResumable(id, 'it ended before it had read anything');
  const startedAtMs = readStart(id, content.events);
  const finished = foldFinished(content.events);
  const checked = await checkFinished(storage, id, finished, { checksum: settings.checksum, jobs: settings.jobs, signal });
  const sound = new Set(checked.sound.keys());
  const databases = new Map<number, { readonly history: DatabaseHistory; readonly need: Need }>();
  const adopted = new Map<number, AdoptedSnapshot>();
  const idle: Keeper[] = [];
  for (const { number } of record.databases) {
    const history = { number, states: await readSnapshotStates(storage, id, number), sound };
    const schema = history.states.at(-1)?.schema;
    let need = findNeed(history, schema !== undefined && (await isArchiveSound(storage, id, schema, signal)));
    const keeper = await attachKeeper({ id, database: number, signal });
    if (keeper !== null) keepers.push(keeper);
    const held = keeper !== null && need === 'same-snapshot' ? await findHeld(keeper, history) : null;
    if (held !== null) adopted.set(number, held);
    else if (keeper !== null) idle.push(keeper);
    if (held === null && need === 'same-snapshot') need = 'new-snapshot';
    databases.set(number, { history, need });
  }
  refuseMixing(id, record, databases, backupOptions.isMixedAllowed === true);

  // From here on the run is this process's: what no attempt can use is removed.
  for (const keeper of idle) await keeper.stop();
  const isLastWaveNew = findLastWave(record).some((number) => databases.get(number)?.need === 'new-snapshot');
  const globals = isLastWaveNew ? null : await findGlobals(storage, id, content.events, signal);
  const archives = [...databases.values()].flatMap(({ history, need }) =>
    need === 'new-snapshot' ? [] : [history.states.at(-1)?.schema.path ?? ''],
  );
  const attempt = (await findLastAttempt(storage, id, finished.values())) + 1;
  await removeLeftovers(storage, id, checked.sound.values(), new Set([...archives, ...(globals === null ? [] : [globals.path])]));
  await freeReserve(storage, id);
  await storeReserve(storage, id);
  const tasks = [...databases.values()].flatMap(({ history }) =>
    history.states.flatMap((state) => state.tasks.map(({ taskId }) => taskId)),
  );
  const lastTaskId = tasks.reduce((highest, taskId) => Math.max(highest, taskId), findLastTaskId(content.events));
  const journal = await reopenJournal(storage, id, content);
  return { journal, resumed: { startedAtMs, attempt, lastTaskId, checked, databases, adopted, globals } };
};

/** The snapshot that a keeper holds, if it is the database's last one. */
const findHeld = async (keeper: Keeper, { states }: DatabaseHistory): Promise<AdoptedSnapshot | null> => {
  const last = states.at(-1);
  if (last === undefined) return null;
  const { snapshot, transactionStart, catalog } = last;
  const known = { snapshot: snapshot.id, lsn: snapshot.lsn, takenAt: snapshot.takenAt, transactionStart, catalog };
  try {
    await createLocalLeader(keeper.session).adoptSnapshot(known);
    return { keeper, known };
  } catch (error) {
    // Its transaction or its connection has ended.
    if (error instanceof DbbackupError && lostCodes.has(error.code)) return null;
    throw error;
  }
};

const lostCodes: ReadonlySet<string> = new Set(['snapshot_invalid', 'server_error', 'connection_lost', 'recovery_conflict']);

const refuseMixing = (
  id: string,
  record: RunRecord,
  databases: NonNullable<OpenRun['resumed']>['databases'],
  isMixedAllowed: boolean,
): void => {
  const lost = record.databases.filter(({ number }) => {
    const found = databases.get(number);
    return found !== undefined && found.need === 'new-snapshot' && hasRows(found.history);
  });
  if (lost.length === 0 || isMixedAllowed) return;
  const names = lost.map(({ name }) => JSON.stringify(name)).join(', ');
  throw new DbbackupError(
    'snapshot_lost',
    `the snapshot that run ${id} had of ${names} is gone: what it has not read yet can be read of a later one only`,
    {
      details: {
        object: id,
        hint: 'With --allow-mixed, tables that were read whole stay and all others are read under a new snapshot: the backup is then "mixed". Or start a new backup.',
      },
    },
  );
};

const findLastWave = ({ databases }: RunRecord): readonly number[] => {
  const last = Math.max(...databases.map(({ wave }) => wave));
  return databases.filter(({ wave }) => wave === last).map(({ number }) => number);
};

const findGlobals = async (
  storage: LocalStorage,
  id: string,
  events: NonNullable<Awaited<ReturnType<typeof readJournal>>>['events'],
  signal: AbortSignal | undefined,
): Promise<ManifestArchive | null> => {
  const dumped = events.findLast((event) => event.type === 'globals.dumped');
  if (dumped?.pgDumpVersion === undefined) return null;
  const { path, sizeBytes, sha256, pgDumpVersion } = dumped;
  const archive = { path, sizeBytes, sha256, pgDumpVersion };
  return (await isArchiveSound(storage, id, archive, signal)) ? archive : null;
};

const isArchiveSound = async (
  storage: LocalStorage,
  id: string,
  { path, sizeBytes, sha256 }: ManifestArchive,
  signal: AbortSignal | undefined,
): Promise<boolean> => {
  const name = nameInBackup(id, path);
  if ((await storage.stat(name))?.sizeBytes !== sizeBytes) return false;
  return (await hashFile(await storage.localPath(name), 'sha256', { signal })) === sha256;
};

export const sumRawBytes = (tasks: Iterable<ChunkFinished>): number => [...tasks].reduce((sum, { rawBytes }) => sum + rawBytes, 0);
