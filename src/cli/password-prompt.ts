import { openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { DbbackupError } from '../core/errors.js';

/** Longer input is a paste gone wrong, not a password: the server takes 1024 characters at most. */
const maxPasswordLength = 1024;

/**
 * Asks for a password on the controlling terminal, without echo, whatever standard input and output are.
 * Errors: `usage` where there is no terminal; `cancelled` for Ctrl-C, Ctrl-D and an abort of `signal`.
 */
export const promptPassword = async (prompt: string, signal: AbortSignal): Promise<string> => {
  const terminal = openTerminal();
  const input = new ReadStream(terminal);
  try {
    input.setRawMode(true);
    writeSync(terminal, prompt);
    return await readSecret(input, signal);
  } finally {
    input.setRawMode(false);
    writeSync(terminal, '\n');
    input.destroy();
  }
};

const openTerminal = (): number => {
  let terminal: number;
  try {
    terminal = openSync('/dev/tty', 'r+');
  } catch (error) {
    throw toNoTerminal(error);
  }
  return terminal;
};

const toNoTerminal = (cause: unknown): DbbackupError =>
  new DbbackupError('usage', 'there is no terminal to ask for the password', {
    cause,
    details: { hint: 'Put the password into .pgpass or PGPASSWORD and leave -W out.' },
  });

const readSecret = (input: ReadStream, signal: AbortSignal): Promise<string> =>
  new Promise((resolve, reject) => {
    let secret = '';
    const cancel = (): void => reject(new DbbackupError('cancelled', 'the password prompt was cancelled', { cause: signal.reason }));
    signal.addEventListener('abort', cancel, { once: true });
    input.setEncoding('utf8');
    input.on('error', reject);
    input.on('end', cancel);
    input.on('data', (typed: string) => {
      for (const character of typed) {
        const state = typeCharacter(secret, character);
        if (state === 'done') resolve(secret);
        else if (state === 'cancelled') cancel();
        else secret = state.secret;
        if (state === 'done' || state === 'cancelled') {
          signal.removeEventListener('abort', cancel);
          return;
        }
      }
    });
  });

/** What a key does to what was typed so far; in raw mode the terminal's line editing is ours to do. */
export const typeCharacter = (secret: string, character: string): { readonly secret: string } | 'done' | 'cancelled' => {
  switch (character) {
    case '\r':
    case '\n':
      return 'done';
    case '\u0003': // Ctrl-C
    case '\u0004': // Ctrl-D
      return 'cancelled';
    case '\u007f': // backspace
    case '\b':
      return { secret: [...secret].slice(0, -1).join('') };
    case '\u0015': // Ctrl-U
      return { secret: '' };
    default:
      return { secret: secret.length < maxPasswordLength ? secret + character : secret };
  }
};

/** What the prompt says. */
export const toPasswordPrompt = (user: string | undefined): string => (user === undefined ? 'Password: ' : `Password for user ${user}: `);
