import { DbbackupError } from '../core/errors.js';

/** One statement of a script with the `;` that ends it, without what stands before it; or one psql command, which begins with a backslash and ends with its line. */
export interface ScriptUnit {
  readonly text: string;
  readonly isCommand: boolean;
}

/** Comments, words, and single characters. psql ends a comment at a carriage return, too, and takes all bytes beyond ASCII for letters. */
const token = /--[^\n\r]*|[A-Za-z0-9_\x80-\xff]+|[\s\S]/y;

/** What psql reads otherwise than as the character it is: other comments, dollar quotes, variables, commands, the end of a string in C. None of it is in the tools' scripts. */
const foreign = /^(?:\/\*|[$:\\\0])/;

/**
 * Parts the scripts of pg_dumpall and pg_restore about roles, tablespaces and databases into statements. `text` has a character for each byte (`latin1`), so that
 * it comes out as it went in, whatever its encoding: all encodings a server can have leave ASCII alone.
 * Throws `tool_failed` for whatever psql might part in another way, so that no statement hides a command that psql would run on this machine.
 */
export const splitScript = (text: string): readonly ScriptUnit[] => {
  if (text.includes('\0')) throw refuse('a zero byte');
  const units: ScriptUnit[] = [];
  let begin = -1;
  let previous = '';
  const scanner = new RegExp(token);
  for (let match = scanner.exec(text); match !== null; match = scanner.exec(text)) {
    const [piece] = match;
    if (piece.startsWith('--') || /^\s$/.test(piece)) {
      // A literal after another one, with a line's end between, would be a part of it.
      if (previous !== "'") previous = '';
      continue;
    }
    if (piece === '\\' && begin === -1) {
      const end = text.indexOf('\n', match.index);
      const line = text.slice(match.index, end === -1 ? text.length : end);
      units.push({ text: line, isCommand: true });
      scanner.lastIndex = match.index + line.length;
      continue;
    }
    if (piece === '\\') throw refuse('a psql command within a statement');
    if (foreign.test(text.slice(match.index, match.index + 2))) throw refuse(`${JSON.stringify(piece)} outside quotes`);
    if (begin === -1) begin = match.index;
    if (piece === "'" || piece === '"') {
      const isEscaped = piece === "'" && /^e$/i.test(previous);
      if (piece === "'" && !isEscaped && /^(?:['&]|[A-Za-z0-9_\x80-\xff]+)$/.test(previous))
        throw refuse(`a literal right after ${previous}`);
      scanner.lastIndex = findQuoteEnd(text, scanner.lastIndex, piece, isEscaped);
    }
    previous = piece;
    if (piece !== ';') continue;
    units.push({ text: text.slice(begin, scanner.lastIndex), isCommand: false });
    begin = -1;
  }
  if (begin !== -1) throw new DbbackupError('tool_failed', 'a script ends within a statement');
  return units;
};

const refuse = (what: string): DbbackupError => new DbbackupError('tool_failed', `a script holds ${what}`);

/** Where quoted text that begins at `begin` ends: quotes are doubled, and `E'…'` escapes with backslashes, too. By steps, for a text may have any length. */
const findQuoteEnd = (text: string, begin: number, quote: string, isEscaped: boolean): number => {
  let backslash = isEscaped ? text.indexOf('\\', begin) : -1;
  let at = begin;
  for (;;) {
    const end = text.indexOf(quote, at);
    if (end === -1) throw new DbbackupError('tool_failed', 'a script ends within a statement');
    if (backslash !== -1 && backslash < end) {
      at = backslash + 2;
      backslash = text.indexOf('\\', at);
      continue;
    }
    if (text[end + 1] !== quote) return end + 1;
    at = end + 2;
  }
};

/** Encodings of clients alone, whose characters may hold a byte of ASCII: there, a backslash may not be one. */
const unsafeEncodings = /^(?:SJIS|SHIFT_JIS_2004|BIG5|GBK|UHC|GB18030|JOHAB)$/;

/** Errors: `tool_failed` where `sql` is no choice of an encoding a server can have. */
export const checkClientEncoding = (sql: string): void => {
  const name = /^SET client_encoding = '([A-Z0-9_]+)';$/.exec(sql)?.[1];
  if (name === undefined || unsafeEncodings.test(name)) throw refuse(`a client encoding that no server has: ${sql}`);
};

/** psql follows the server's setting when it looks for the end of a literal. */
export const standardStrings = 'SET standard_conforming_strings = on;';

/** Errors: `tool_failed` for a statement that cannot be about roles, tablespaces or databases. */
export const checkStatement = (sql: string): void => {
  if (!/^(?:CREATE|ALTER|COMMENT ON|SECURITY LABEL|GRANT|REVOKE) /.test(sql))
    throw refuse(`a statement that does not belong there: ${sql.slice(0, 60)}`);
};

const identifier = '"(?:[^"]|"")*"|[a-z_][a-z0-9_$]*';

/** Patterns of names and text as the tools write them. */
export const scriptPatterns = { identifier, literal: "E?'(?:[^']|'')*'" } as const;

/** The name behind an identifier as the tools write it. */
export const readIdentifier = (text: string): string => (text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text);

/** The text behind a literal as the tools write it: in `E'…'` backslashes and quotes alone are doubled. */
export const readLiteral = (text: string): string => {
  const isEscaped = text.startsWith('E');
  const inner = text.slice(isEscaped ? 2 : 1, -1).replaceAll("''", "'");
  return isEscaped ? inner.replaceAll('\\\\', '\\') : inner;
};
