import { type ErrorCode, isErrorCode } from '../core/error-codes.js';
import { DbbackupError, type ErrorDetails } from '../core/errors.js';

/** A function whose frames, and those below it, are left out of a stack: what a caller sees begins with the caller. */
type StackTop = (...args: never[]) => unknown;

const textFields = ['object', 'severity', 'sqlstate', 'detail', 'hint', 'position', 'schema', 'table', 'path'] as const;

const toDetails = (error: Error): ErrorDetails => {
  const fields = error as unknown as Readonly<Record<string, unknown>>;
  const texts = textFields.flatMap((name) => (typeof fields[name] === 'string' ? [[name, fields[name]]] : []));
  return { ...Object.fromEntries(texts), ...(typeof fields['errno'] === 'number' ? { errno: fields['errno'] } : {}) };
};

/** An error of the addon as a DbbackupError with the same code and fields. */
const wrapError = (error: unknown, isAborted: boolean): DbbackupError => {
  if (error instanceof DbbackupError) return error;
  if (!(error instanceof Error)) return new DbbackupError('internal', String(error), { cause: error });
  const code = (error as { readonly code?: unknown }).code;
  const details = toDetails(error);
  // What fails because it is being stopped was cancelled, whatever the stop made it stumble over.
  if (isAborted && code !== 'cancelled') return new DbbackupError('cancelled', 'the run was cancelled', { cause: error, details });
  return new DbbackupError(toErrorCode(code, error.message, details), error.message, { cause: error, details });
};

/** Sessions of dbbackup are not serializable: with this SQLSTATE a standby cancels those that stand in the way of recovery (storage/ipc/standby.c). */
const recoveryConflictState = '40001';

/** The code of what native code reports, told apart by the server's SQLSTATE where the code alone does not. */
export const toErrorCode = (code: unknown, message: string, { sqlstate }: ErrorDetails): ErrorCode => {
  // The last words of a session that was ended come with the loss of its connection, as text alone.
  const isEnded = code === 'connection_lost' && message.includes('conflict with recovery');
  if (isEnded || sqlstate === recoveryConflictState) return 'recovery_conflict';
  return isErrorCode(code) ? code : 'internal';
};

/** Remembers the stack of a call, so that its error can show it although it is made later, on a stack of its own. */
const captureStack = (top: StackTop): (() => string) => {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, top);
  // V8 formats a stack when it is first read: calls that succeed do not pay for it.
  return () => holder.stack?.split('\n').slice(1).join('\n') ?? '';
};

const withStack = (error: DbbackupError, frames: string): DbbackupError => {
  error.stack = `${error.name}: ${error.message}\n${frames}`;
  return error;
};

/** Runs one call of the addon; errors are DbbackupErrors with the stack of whoever called `top`, and `cancelled` once `signal` is aborted. */
export const callNative = <T>(top: StackTop, signal: AbortSignal | undefined, call: () => T): T => {
  const frames = captureStack(top);
  try {
    return call();
  } catch (error) {
    throw withStack(wrapError(error, signal?.aborted === true), frames());
  }
};

/** The same for a call that gives a promise; what it throws at once rejects too. */
export const awaitNative = async <T>(top: StackTop, signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> => {
  const frames = captureStack(top);
  try {
    return await call();
  } catch (error) {
    throw withStack(wrapError(error, signal?.aborted === true), frames());
  }
};
