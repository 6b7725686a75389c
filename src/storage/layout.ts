/** Names of things in a repository: `docs/format.md` sections 1 and 4. */
import { DbbackupError } from '../core/errors.js';
import type { CodecName } from '../core/results.js';

/** Form of every relative path: the alphabet, and no component `.` or `..`. */
export const pathPattern = /^(?!(?:.*\/)?\.{1,2}(?:\/|$))[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/;

const idPattern = /^[a-z0-9][a-z0-9._-]{0,79}$/;

/** Appended to the name of what is not published yet. */
export const temporarySuffix = '.tmp';

export const repositoryMarker = 'dbbackup-repository.json';

/** Held by who takes something away from a repository. */
export const repositoryLock = 'lock.json';

/** Names inside a backup's folder. */
export const backupNames = {
  journal: 'journal.ndjson',
  lock: 'lock.json',
  resumeFolder: 'resume',
  runRecord: 'resume/run.json',
  reserve: 'resume/reserve',
  dataFolder: 'data',
  schemaFolder: 'schema',
  globalsFolder: 'globals',
  restoreScript: 'restore.sh',
  restoreFolder: 'restore',
  manifestChecksum: 'manifest.sha256',
  manifest: 'manifest.json',
} as const;

/** True when `path` may be followed inside a backup. */
export const isSafePath = (path: string): boolean => pathPattern.test(path);

/** Returns `path`, or throws `path_unsafe` when it could lead anywhere else. */
export const checkPath = (path: string): string => {
  if (!isSafePath(path))
    throw new DbbackupError('path_unsafe', `${JSON.stringify(path.slice(0, 200))} is not a path inside a backup`, { details: { path } });
  return path;
};

export const isBackupId = (id: string): boolean => idPattern.test(id);

/** Returns `id`, or throws `backup_not_found`: what is no ID by its form is the ID of no backup. */
export const checkBackupId = (id: string): string => {
  if (!isBackupId(id)) {
    throw new DbbackupError('backup_not_found', `${JSON.stringify(id.slice(0, 200))} is not a backup ID`, {
      details: { hint: 'An ID consists of lower-case letters, digits, ".", "_" and "-"; see dbbackup list.' },
    });
  }
  return id;
};

const idAlphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
const randomLength = 4;
const maxIdLength = 80;

/**
 * An ID that tells people what and when: `shop-20260102t030405z-k3f9`.
 * `random` gives integers from 0 to below its argument. IDs of one database sort by time of start, to the second. Two runs started in the same second get
 * the same ID once in 1.7 million times; the second one then fails when it creates its journal.
 */
export const newBackupId = (database: string, now: Date, random: (below: number) => number): string => {
  const time = now
    .toISOString()
    .replace(/\.\d+Z$/, 'z')
    .replace(/[-:]/g, '')
    .toLowerCase();
  const tail = Array.from({ length: randomLength }, () => idAlphabet[random(idAlphabet.length)]).join('');
  const suffix = `-${time}-${tail}`;
  return `${reduceName(database, maxIdLength - suffix.length)}${suffix}`;
};

const reduceName = (name: string, maxLength: number): string => {
  const reduced = name
    .toLowerCase()
    .replace(/[^a-z0-9._]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, maxLength)
    .replace(/[^a-z0-9]+$/, '');
  return reduced === '' ? 'database' : reduced;
};

/** Name of an object of a backup, relative to the repository. Throws `backup_not_found` or `path_unsafe`. */
export const nameInBackup = (id: string, path: string): string => `${checkBackupId(id)}/${checkPath(path)}`;

/** What a task's data files are called before `-p001` and the extension; relative to the backup's data folder. */
export const dataStem = (taskId: number, attempt: number): string => `t${String(taskId).padStart(6, '0')}-a${attempt}`;

/** The stem of the same task's next attempt. */
export const nextAttemptStem = (stem: string): string => stem.replace(/\d+$/, (attempt) => String(Number(attempt) + 1));

/** Name of one of the files, from 1, that a task fills one after the other. */
export const dataPart = (stem: string, part: number, extension: string): string => `${stem}-p${String(part).padStart(3, '0')}${extension}`;

/** The attempt a data file was written in, from its name; 1 for a name of another form. */
export const readAttempt = (path: string): number => Number(/-a(\d{1,9})-p\d+\.[a-z0-9]+$/.exec(path)?.[1] ?? 1);

const extensions: Readonly<Record<CodecName, string>> = { zstd: '.zst', lz4: '.lz4', gzip: '.gz', none: '.copy' };

export const dataExtension = (codec: CodecName): string => extensions[codec];

/** Path of a database's schema archive. `number` counts the databases of a backup from 1, `snapshot` the snapshots that were taken of it. */
export const schemaPath = (number: number, snapshot: number): string => `schema/${toStem(number, snapshot)}.dump.zst`;

/** Path of what is known of a snapshot of a database while its run is unfinished. */
export const snapshotStatePath = (number: number, snapshot: number): string =>
  `${backupNames.resumeFolder}/${String(number).padStart(4, '0')}-s${snapshot}.ndjson.zst`;

const toStem = (number: number, snapshot: number): string => `${String(number).padStart(4, '0')}${snapshot === 1 ? '' : `-s${snapshot}`}`;

/** Path of a cluster's roles and tablespaces. */
export const globalsPath = 'globals/globals.sql.zst';
