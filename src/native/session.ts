import { throwIfCancelled } from '../core/abort.js';
import { onAbort } from './abort.js';
import type { ConnectionSpec, QueryResult, SessionHandle, SessionInfo } from './binding.js';
import { loadBinding } from './load.js';
import { awaitNative, callNative } from './native-call.js';

export type { ConnectionSpec, QueryResult, SessionInfo } from './binding.js';

export interface SessionOptions {
  /** Aborting ends the connection attempt, or stops the session. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A connection for control SQL, with a native thread of its own. Queries run one after the other, in the order of their calls.
 * An idle session does not keep the process alive. Close it when it is no longer needed; a closed or stopped one rejects with `cancelled`.
 */
export class Session {
  readonly #handle: SessionHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #removeListener: () => void;

  /** Use `openSession`. Takes over `handle`, and `removeListener`, which `close` calls. */
  constructor(handle: SessionHandle, signal: AbortSignal | undefined, removeListener: () => void) {
    this.#handle = handle;
    this.#signal = signal;
    this.#removeListener = removeListener;
  }

  /**
   * Runs `sql` and gives its result, values in PostgreSQL's text format. Without `params` several statements may be given, and the last result is returned;
   * with them it is one statement with `$1`, `$2` ….
   *
   * Errors: the server's with its fields in `details` (`server_error`, `permission_denied`, `lock_not_available` …), `connection_lost`, `cancelled`.
   */
  query(sql: string, params?: readonly (string | null)[]): Promise<QueryResult> {
    return awaitNative(this.query, this.#signal, () => this.#handle.query(sql, params));
  }

  /** Facts about the connection as they were when it was opened. */
  info(): SessionInfo {
    return callNative(this.info, this.#signal, () => this.#handle.info());
  }

  /** The password that was used, from wherever libpq took it: for the environment of client tools, never to be logged. Null when none was asked for. */
  password(): string | null {
    return callNative(this.password, this.#signal, () => this.#handle.password());
  }

  /** NOTICE and WARNING messages received since the last call, at most 100. */
  notices(): readonly string[] {
    return callNative(this.notices, this.#signal, () => this.#handle.notices());
  }

  /** Cancels the running query, if any; it and all further ones reject with `cancelled`. Does not wait. */
  stop(): void {
    this.#handle.stop();
  }

  /** Stops, disconnects and resolves when the session's thread has ended. May be called again. */
  close(): Promise<void> {
    this.#removeListener();
    return awaitNative(this.close, this.#signal, () => this.#handle.close());
  }
}

/**
 * Connects to a server. Host, port, user, password and TLS settings that `connection` leaves open come from where libpq looks: environment, service file,
 * password file.
 *
 * Errors: `connection_failed`, `authentication_failed`, `database_not_found`, `permission_denied`, `cancelled`, `addon_unavailable`.
 */
export const openSession = async (connection: ConnectionSpec, options: SessionOptions = {}): Promise<Session> => {
  const { signal } = options;
  throwIfCancelled(signal);
  const binding = loadBinding();
  let removeListener = (): void => undefined;
  try {
    const handle = await awaitNative(openSession, signal, () =>
      binding.openSession(connection, (started) => {
        removeListener = onAbort(signal, () => started.stop());
      }),
    );
    return new Session(handle, signal, removeListener);
  } catch (error) {
    removeListener();
    throw error;
  }
};
