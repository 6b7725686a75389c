import type { ErrorCode } from '../core/error-codes.js';
import { DbbackupError } from '../core/errors.js';

const fullCodes = new Set(['ENOSPC', 'EDQUOT']);
const refusedCodes = new Set(['EACCES', 'EPERM', 'EROFS']);

/** The operating system's short name of an error, or an empty string. */
export const errnoName = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
};

/** A file system error as a DbbackupError that names the object: `disk_full`, `not_writable` (when writing), `path_unsafe` for a link, else `io_error`. */
export const toStorageError = (error: unknown, action: 'read' | 'write', path: string): DbbackupError => {
  if (error instanceof DbbackupError) return error;
  const name = errnoName(error);
  const number = error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? { errno: Math.abs(error.errno) } : {};
  const reason = name === '' ? String(error) : name;
  const hint = action === 'read' && refusedCodes.has(name) ? { hint: 'Check the owner and mode of the file and of its directory.' } : {};
  return new DbbackupError(toCode(name, action), `cannot ${action} ${path}: ${reason}`, {
    cause: error,
    details: { path, ...number, ...hint },
  });
};

const toCode = (name: string, action: 'read' | 'write'): ErrorCode => {
  if (fullCodes.has(name)) return 'disk_full';
  if (name === 'ELOOP') return 'path_unsafe';
  return action === 'write' && refusedCodes.has(name) ? 'not_writable' : 'io_error';
};
