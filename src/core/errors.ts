import { type ErrorCode, errorCodes } from './error-codes.js';

/** Facts about an error, each present only where it applies. Field names follow PostgreSQL's error fields and Node's `errno` errors. */
export interface ErrorDetails {
  /** What the error is about, as a user would name it: `public.orders chunk 17`, `data/t000001-a1-p001.zst`. */
  readonly object?: string;
  readonly severity?: string;
  readonly sqlstate?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly position?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly errno?: number;
  readonly path?: string;
  /** Errors that followed the first one while the run was being stopped. */
  readonly later?: readonly Error[];
}

/** The one error class. `message` is lower case without a full stop; `hint` is a sentence. Match on `code`. */
export class DbbackupError extends Error {
  override readonly name = 'DbbackupError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown; readonly details?: ErrorDetails } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** Advice for the user: the error's own, else the catalogue's. */
  get hint(): string | undefined {
    const fromCatalogue: { readonly hint?: string } = errorCodes[this.code];
    return this.details.hint ?? fromCatalogue.hint;
  }

  get isRetryable(): boolean {
    return errorCodes[this.code].isRetryable;
  }

  get exitStatus(): number {
    return errorCodes[this.code].exitStatus;
  }
}

/** `error` as a DbbackupError: itself, or wrapped as `internal` so that nothing without a code reaches a caller. */
export const toDbbackupError = (error: unknown): DbbackupError =>
  error instanceof DbbackupError
    ? error
    : new DbbackupError('internal', error instanceof Error ? error.message : String(error), { cause: error });
