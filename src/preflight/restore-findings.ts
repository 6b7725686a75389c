/** Whether a target has what a backup needs. Pure. */
import { displayText } from '../catalog/names.js';
import { type Finding, fail, ok, warn } from '../core/findings.js';
import { formatBytes, formatCount, formatPlural } from '../core/units.js';

const quote = (name: string): string => JSON.stringify(displayText(name));

const list = (names: readonly string[]): string => names.map(quote).join(', ');

/** What a target has of an extension. */
export interface TargetExtension {
  readonly name: string;
  /** Null where it would have to be created. */
  readonly installedVersion: string | null;
  readonly defaultVersion: string | null;
}

/** Extensions of the backup beside those that the target has or can create. */
export const judgeExtensions = (
  needed: readonly { readonly name: string; readonly version: string }[],
  available: readonly TargetExtension[],
): readonly Finding[] => {
  if (needed.length === 0) return [ok('extensions', 'the backup needs none')];
  const byName = new Map(available.map((extension) => [extension.name, extension]));
  return needed.map(({ name, version }) => {
    const found = byName.get(name);
    if (found === undefined)
      return fail('extensions', `extension ${quote(name)} cannot be created at the target`, 'Install its package on the target server.');
    const targetVersion = found.installedVersion ?? found.defaultVersion ?? 'unknown';
    const measured = `extension ${quote(name)} has version ${displayText(targetVersion)} in the target and ${displayText(version)} in the backup`;
    return targetVersion === version
      ? ok('extensions', measured)
      : warn('extensions', measured, 'Install the backup’s version on the target server where tables depend on it.');
  });
};

/** `isOwnerDropped`, `arePrivilegesDropped`: then roles are named by little. A backup of a part may need fewer roles than its database. */
export const judgeRoles = (
  needed: readonly { readonly name: string; readonly object: string | null }[],
  present: ReadonlySet<string>,
  isNeedCertain: boolean,
): Finding => {
  const missing = needed.filter(({ name }) => !present.has(name));
  const [first] = missing;
  if (first === undefined) return ok('roles', `all of ${formatPlural(needed.length, 'role')} are there`);
  const names = list(missing.map(({ name }) => name));
  const object = missing.find((role) => role.object !== null)?.object ?? null;
  const measured = `the target lacks ${missing.length === 1 ? 'role' : 'roles'} ${names}${object === null ? '' : `, which ${displayText(object)} needs`}`;
  const remedy = 'Create them at the target, or leave owners and privileges out with --no-owner and --no-privileges.';
  return isNeedCertain && object !== null ? fail('roles', measured, remedy) : warn('roles', measured, remedy);
};

export const judgeTablespaces = (needed: readonly string[], present: ReadonlySet<string>): Finding => {
  const missing = needed.filter((name) => !present.has(name));
  if (missing.length === 0) return ok('tablespaces', needed.length === 0 ? 'the backup needs none' : `${list(needed)} are there`);
  return fail('tablespaces', `the target lacks tablespace ${list(missing)}`, 'Create it at the target, or restore with --no-tablespaces.');
};

export interface Locale {
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
}

/** Spellings of one locale: `en_US.UTF-8` and `en_US.utf8`. */
const normalize = (locale: string): string => locale.toLowerCase().replaceAll('-', '');

/** A target that exists beside the source. Texts of another encoding are converted, or refused where that has no such character. */
export const judgeLocale = (source: Locale, target: Locale): readonly Finding[] => {
  const encoding = `encoding ${source.encoding} in the backup, ${target.encoding} in the target`;
  const collation = `collation ${source.collate} and ctype ${source.ctype} in the backup, ${target.collate} and ${target.ctype} in the target`;
  const isSameLocale = normalize(source.collate) === normalize(target.collate) && normalize(source.ctype) === normalize(target.ctype);
  return [
    source.encoding === target.encoding
      ? ok('encoding', encoding)
      : warn('encoding', encoding, 'Restore with --create, which takes the backup’s: rows in binary are not converted.'),
    isSameLocale
      ? ok('collation', collation)
      : warn('collation', collation, 'Rows will be sorted in another order. Restore with --create for the backup’s.'),
  ];
};

export const judgeVersion = (sourceVersion: number, targetVersion: number): Finding => {
  const [source, target] = [sourceVersion, targetVersion].map((version) => Math.floor(version / 10_000));
  const measured = `the backup is of PostgreSQL ${source}, the target is PostgreSQL ${target}`;
  return targetVersion >= Math.floor(sourceVersion / 10_000) * 10_000
    ? ok('version', measured)
    : warn('version', measured, 'An older server may not know what the definitions say: restore into the same version or a newer one.');
};

/** Indexes take room besides: about half of the rows' in most databases. */
const indexShare = 0.5;

/** `freeBytes` of the file system of the server's data; null where it cannot be seen from here. */
export const judgeTargetDisk = (freeBytes: number | null, rawBytes: number): Finding => {
  const neededBytes = rawBytes * (1 + indexShare);
  const needed = `about ${formatBytes(neededBytes)} are needed for ${formatBytes(rawBytes)} of rows and their indexes`;
  if (freeBytes === null) return ok('disk', `${needed}; the free space of the server cannot be seen from here`);
  const measured = `${formatBytes(freeBytes)} are free for the server’s data, ${needed}`;
  const remedy = `Free ${formatBytes(neededBytes - freeBytes)} on the server.`;
  if (freeBytes < rawBytes / 4) return fail('disk', measured, remedy);
  return freeBytes < neededBytes ? warn('disk', measured, remedy) : ok('disk', measured);
};

/** Each table is created in a transaction of its own; loading through a root locks all its partitions, their indexes included. */
export const judgeTargetLocks = (
  partitionCount: number,
  jobs: number,
  facts: { readonly maxLocksPerTransaction: number; readonly lockOwnerCount: number },
): Finding => {
  const needed = partitionCount * jobs;
  const room = facts.maxLocksPerTransaction * facts.lockOwnerCount;
  const measured = `up to ${formatCount(needed)} locks for the partitions of the largest table, the server has room for ${formatCount(room)}`;
  if (needed <= room) return ok('locks', measured);
  const wanted = Math.ceil(needed / facts.lockOwnerCount);
  return warn(
    'locks',
    measured,
    `Set max_locks_per_transaction = ${wanted} or more on the target server and restart it, or use fewer --jobs.`,
  );
};
