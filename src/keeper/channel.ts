import { createConnection, type Socket } from 'node:net';
import { DbbackupError } from '../core/errors.js';
import type { QueryResult } from '../native/session.js';
import { encodeFrame, FieldReader, type Frame, FrameDecoder, toFields } from './frames.js';
import { type KeeperState, parseError, parseState } from './replies.js';

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** One query's answer so far. */
interface Answer extends Waiter<QueryResult> {
  columns: readonly string[];
  rows: (readonly (string | null)[])[];
  command: string;
  /** The columns are those of the result that is under way. */
  isOpen: boolean;
  error: DbbackupError | null;
}

/**
 * A connection to a keeper's socket. Keeps the process alive only while an answer is awaited. Once the keeper has gone, everything rejects with what it said last, or
 * with `connection_lost`.
 */
export class KeeperChannel {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #states: Waiter<KeeperState>[] = [];
  #answer: Answer | null = null;
  /** What the keeper said that nobody had asked for: why it ends. */
  #lastWords: DbbackupError | null = null;
  #isClosed = false;
  readonly closed: Promise<void>;

  /** Use `openChannel`. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    // What there is to say about it is said on close.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#end());
    socket.unref();
  }

  /** Takes over the session. Errors: `locked` when another client has it. */
  attach(): Promise<KeeperState> {
    return this.#ask(encodeFrame('a'));
  }

  info(): Promise<KeeperState> {
    return this.#ask(encodeFrame('i'));
  }

  /** From now on the session outlives this client. `pingSql` must not fail: an error would end the transaction. `note` is told by info. */
  hold(pingSql: string, note: string): Promise<KeeperState> {
    return this.#ask(encodeFrame('h', [pingSql, note]));
  }

  /** One query at a time; errors as those of a Session's. */
  query(sql: string, params?: readonly (string | null)[]): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      if (this.#answer !== null) throw new DbbackupError('internal', 'a keeper takes one query at a time');
      if (this.#isClosed) throw this.#toEnd();
      this.#answer = { resolve, reject, columns: [], rows: [], command: '', isOpen: false, error: null };
      this.#send(params === undefined ? encodeFrame('q', [sql]) : encodeFrame('p', [sql, ...toFields(params)]));
    });
  }

  /** Ends the keeper, whatever it does; resolves when it has closed its connections. */
  async stop(): Promise<void> {
    if (!this.#isClosed) this.#send(encodeFrame('s'));
    await this.closed;
  }

  /** Ends this connection and leaves the keeper as it is. */
  async close(): Promise<void> {
    this.#socket.ref();
    this.#socket.destroy();
    await this.closed;
  }

  #ask(frame: Buffer): Promise<KeeperState> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw this.#toEnd();
      this.#states.push({ resolve, reject });
      this.#send(frame);
    });
  }

  #send(frame: Buffer): void {
    this.#socket.ref();
    this.#socket.write(frame);
  }

  #rest(): void {
    if (this.#answer === null && this.#states.length === 0) this.#socket.unref();
  }

  #receive(bytes: Buffer): void {
    try {
      this.#decoder.push(bytes, (frame) => this.#take(frame));
    } catch (error) {
      this.#lastWords ??= error instanceof DbbackupError ? error : null;
      this.#socket.destroy();
    }
  }

  #take(frame: Frame): void {
    if (frame.type === 'I') {
      this.#states.shift()?.resolve(parseState(frame));
      this.#rest();
      return;
    }
    const answer = this.#answer;
    if (frame.type === 'E') {
      const error = parseError(frame);
      if (answer !== null) answer.error ??= error;
      else this.#lastWords ??= error;
      return;
    }
    if (answer === null) throw new DbbackupError('protocol_violation', `the keeper sent a ${frame.type} that nobody had asked for`);
    switch (frame.type) {
      case 'C':
        answer.columns = new FieldReader(frame).texts().map((name) => name ?? '');
        answer.rows = [];
        answer.isOpen = true;
        break;
      case 'D':
        answer.rows.push(new FieldReader(frame).texts());
        break;
      case 'T':
        if (!answer.isOpen) Object.assign(answer, { columns: [], rows: [] });
        answer.isOpen = false;
        answer.command = new FieldReader(frame).text();
        break;
      case 'Z': {
        this.#answer = null;
        const { columns, rows, command, error } = answer;
        if (error === null) answer.resolve({ columns, rows, command });
        else answer.reject(error);
        this.#rest();
        break;
      }
      default:
        throw new DbbackupError('protocol_violation', `the keeper sent a message of the unknown type ${JSON.stringify(frame.type)}`);
    }
  }

  #end(): void {
    this.#isClosed = true;
    const answer = this.#answer;
    this.#answer = null;
    answer?.reject(answer.error ?? this.#toEnd());
    for (const { reject } of this.#states.splice(0)) reject(this.#toEnd());
  }

  #toEnd(): DbbackupError {
    const cause = this.#lastWords;
    return cause === null
      ? new DbbackupError('connection_lost', 'the keeper has ended', {
          details: { hint: 'See docs/reliability.md for what ends a keeper.' },
        })
      : new DbbackupError(cause.code, cause.message, { cause, details: cause.details });
  }
}

/** Connects to a socket; null where no keeper listens. Errors: `io_error`. */
export const openChannel = (path: string): Promise<KeeperChannel | null> =>
  new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(new KeeperChannel(socket));
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(null);
      else reject(new DbbackupError('io_error', `cannot connect to ${path}: ${error.message}`, { cause: error, details: { path } }));
    });
  });
