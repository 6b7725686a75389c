import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { DbbackupError } from '../core/errors.js';
import { backupNames } from '../storage/layout.js';
import { checkManifest } from './check.js';
import { type Manifest, type ManifestRelation, manifestSchema, relationSchema } from './schema.js';
import { encodeText } from './text.js';

/** Format version this code writes, and the only one it reads. */
export const formatVersion = 1;

/**
 * A manifest from its text: strict in what it knows, blind to fields it does not know.
 * Throws `manifest_damaged`, `format_unsupported` (a later version, encryption, an increment) or `path_unsafe`.
 */
export const parseManifest = (text: string): Manifest => {
  const value = parseJson(text);
  checkFormat(value);
  const result = manifestSchema.safeParse(value);
  if (!result.success) throw toError(result.error);
  checkManifest(result.data);
  return result.data;
};

/** The manifest's text: the same for equal manifests, fields in the order of `docs/format.md`. Throws `manifest_damaged` for one that could not be read back. */
export const serialiseManifest = (manifest: Manifest): string => encodeManifest(manifest).toString('utf8');

/** `serialiseManifest` as bytes, without ever holding the text as a whole: the largest thing of a backup of many relations. */
export const encodeManifest = (manifest: Manifest): Buffer => {
  // A copy of the whole, as the schema makes it, would double what the relations take.
  const frame = manifestSchema.safeParse({ ...manifest, databases: manifest.databases.map((each) => ({ ...each, relations: [] })) });
  if (!frame.success) throw toError(frame.error);
  checkManifest(manifest);
  const lists = manifest.databases.map(({ relations }, database) => ({
    relations,
    toWritten: (relation: ManifestRelation, index: number): ManifestRelation => {
      const result = relationSchema.safeParse(relation);
      if (!result.success) throw toError(result.error, ['databases', database, 'relations', index]);
      return result.data;
    },
  }));
  return encodeText(frame.data, lists);
};

/** The line that `sha256sum manifest.json` prints. */
export const toChecksumLine = (content: string | Uint8Array): string =>
  `${createHash('sha256').update(content).digest('hex')}  ${backupNames.manifest}\n`;

/** Throws `manifest_damaged` unless `line` is the manifest's checksum line. */
export const verifyChecksum = (content: Uint8Array, line: string): void => {
  if (line !== toChecksumLine(content))
    throw new DbbackupError('manifest_damaged', `${backupNames.manifest} and ${backupNames.manifestChecksum} do not belong together`);
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DbbackupError('manifest_damaged', `${backupNames.manifest} is not JSON`, { cause: error });
  }
};

/** Before anything else is judged: what a later version calls right must not be called damaged. */
const checkFormat = (value: unknown): void => {
  const header: {
    readonly format?: unknown;
    readonly formatVersion?: unknown;
    readonly kind?: unknown;
    readonly encryption?: unknown;
    readonly baseBackupId?: unknown;
  } = typeof value === 'object' && value !== null ? value : {};
  if (header.format !== 'dbbackup' || typeof header.formatVersion !== 'number' || !Number.isInteger(header.formatVersion)) {
    throw new DbbackupError('manifest_damaged', `${backupNames.manifest} is not a manifest`);
  }
  if (header.formatVersion !== formatVersion) throw unsupported(`has format version ${header.formatVersion}`);
  if (header.encryption !== null && header.encryption !== undefined) throw unsupported('is encrypted');
  if (typeof header.baseBackupId === 'string') throw unsupported('is an increment of another backup');
};

const unsupported = (reason: string): DbbackupError =>
  new DbbackupError('format_unsupported', `the backup ${reason}, which this version cannot read`);

/** The first thing wrong, with where it stands: `databases.0.relations.3.rowCount`. */
const toError = (error: z.ZodError, parent: readonly PropertyKey[] = []): DbbackupError => {
  const unsafe = error.issues.find((issue) => issue.code === 'invalid_format' && issue.path.at(-1) === 'path');
  const issue = unsafe ?? error.issues[0];
  const place = [...parent, ...(issue?.path ?? [])].map(String).join('.');
  return unsafe === undefined
    ? new DbbackupError('manifest_damaged', `${backupNames.manifest}: ${place}: ${lowerFirst(issue?.message ?? 'is not valid')}`, {
        cause: error,
      })
    : new DbbackupError('path_unsafe', `${backupNames.manifest}: ${place} leads out of the backup`, { cause: error });
};

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
