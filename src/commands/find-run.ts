import { DbbackupError } from '../core/errors.js';
import { readToolVersion } from '../core/version.js';
import { readJournal } from '../manifest/journal.js';
import { hasBegun } from '../resume/finished-tasks.js';
import { compareOptions, type RunRecord, readRunRecord } from '../resume/run-record.js';
import type { Repository } from '../storage/repository.js';

/** What a run must be of, to be continued. */
export type RunIdentity = Pick<RunRecord, 'kind' | 'title' | 'server' | 'options'>;

/** Null when nothing differs, else what does, for people. */
export const findDifference = (record: RunRecord, asked: RunIdentity): string | null => {
  if (record.toolVersion !== readToolVersion()) return `it was started by dbbackup ${record.toolVersion}, and this is ${readToolVersion()}`;
  if (record.kind !== asked.kind) return record.kind === 'cluster' ? 'it is of a cluster' : 'it is of a single database';
  const { systemIdentifier, host, port } = record.server;
  // A role that may not read the identifier knows a server by its address alone.
  const isSameServer =
    systemIdentifier === asked.server.systemIdentifier &&
    (systemIdentifier !== '' || (host === asked.server.host && port === asked.server.port));
  if (!isSameServer)
    return `it is of server ${systemIdentifier || 'of unknown identity'} at ${host}:${port}, and this is ${asked.server.systemIdentifier || 'another'} at ${asked.server.host}:${asked.server.port}`;
  // A cluster's databases may have become others meanwhile.
  if (record.kind === 'single' && record.title !== asked.title)
    return `it is of database ${JSON.stringify(record.title)}, not of ${JSON.stringify(asked.title)}`;
  const differing = compareOptions(record.options, asked.options);
  return differing.length === 0 ? null : `other options were given: ${differing.join(', ')}`;
};

/** The newest unfinished run of what is asked for; null when there is none. One that nobody can read is passed over. Cost: a small file for each unfinished run. */
export const findNewestRun = async (repository: Repository, asked: RunIdentity): Promise<string | null> => {
  const found: { readonly id: string; readonly startedAt: string }[] = [];
  for (const { id, isFinished } of await repository.list()) {
    if (isFinished) continue;
    const record = await readRunRecord(repository.storage, id).catch(toNothing);
    if (record === null || findDifference(record, asked) !== null) continue;
    found.push({ id, startedAt: record.startedAt });
  }
  found.sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
  // One that was killed before its first line was on disk has nothing to go on with.
  for (const { id } of found) if (hasBegun((await readJournal(repository.storage, id))?.events ?? [])) return id;
  return null;
};

const toNothing = (error: unknown): null => {
  if (error instanceof DbbackupError && (error.code === 'manifest_damaged' || error.code === 'path_unsafe')) return null;
  throw error;
};

export const toNotResumable = (id: string, reason: string): DbbackupError =>
  new DbbackupError('not_resumable', `run ${id} cannot be continued: ${reason}`, { details: { object: id } });
