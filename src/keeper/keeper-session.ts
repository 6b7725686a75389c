import { throwIfCancelled } from '../core/abort.js';
import { DbbackupError } from '../core/errors.js';
import { onAbort } from '../native/abort.js';
import type { QueryResult } from '../native/session.js';
import type { KeeperChannel } from './channel.js';

/**
 * The session that a keeper keeps, as a Session's: queries run one after the other, in the order of their calls. Once `signal` is aborted they reject with `cancelled` at
 * once, while the keeper runs the current one to its end: cancelled at the server, it would take the transaction with it.
 *
 * Errors of a query: the server's with its fields, `connection_lost` when the keeper or its connection has ended, `cancelled`.
 */
export class KeeperSession {
  readonly #channel: KeeperChannel;
  readonly #signal: AbortSignal | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(channel: KeeperChannel, signal: AbortSignal | undefined) {
    this.#channel = channel;
    this.#signal = signal;
  }

  query(sql: string, params?: readonly (string | null)[]): Promise<QueryResult> {
    const mine = this.#last.then(() => this.#run(sql, params));
    // Whoever made the query before learns its error; this one is not concerned.
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  async #run(sql: string, params: readonly (string | null)[] | undefined): Promise<QueryResult> {
    throwIfCancelled(this.#signal);
    let removeListener = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      removeListener = onAbort(this.#signal, () => reject(new DbbackupError('cancelled', 'the run was cancelled')));
    });
    try {
      const result = this.#channel.query(sql, params);
      result.catch(() => undefined);
      return await Promise.race([result, aborted]);
    } finally {
      removeListener();
    }
  }
}
