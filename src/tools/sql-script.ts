import { DbbackupError } from '../core/errors.js';

/** One statement of a script with the `;` that ends it, without what stands before it; or one psql command, which begins with a backslash and ends with its line. */
export interface ScriptUnit {
  readonly text: string;
  readonly isCommand: boolean;
}

/** Comments, quoted text as a whole, and single characters: `E'…'` escapes with backslashes, `'…'` and `"…"` only double their quote. */
const token = /--[^\n]*|[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|[A-Za-z0-9_$]+|[\s\S]/y;

/**
 * Parts the scripts of pg_dumpall and pg_restore, which hold no dollar quotes outside functions, into statements. `text` has a character for each byte (`latin1`), so that
 * it comes out as it went in, whatever its encoding: all encodings a server can have leave ASCII alone.
 * Throws `tool_failed` for a backslash within a statement and outside quotes: psql would take it for a command.
 */
export const splitScript = (text: string): readonly ScriptUnit[] => {
  const units: ScriptUnit[] = [];
  let begin = -1;
  const scanner = new RegExp(token);
  for (let match = scanner.exec(text); match !== null; match = scanner.exec(text)) {
    const [piece] = match;
    if (piece.startsWith('--') || (begin === -1 && /^\s$/.test(piece))) continue;
    if (piece === '\\') {
      if (begin !== -1) throw new DbbackupError('tool_failed', 'a script holds a psql command within a statement');
      const end = text.indexOf('\n', match.index);
      const line = text.slice(match.index, end === -1 ? text.length : end);
      units.push({ text: line, isCommand: true });
      scanner.lastIndex = match.index + line.length;
      continue;
    }
    if (begin === -1) begin = match.index;
    if (piece !== ';') continue;
    units.push({ text: text.slice(begin, scanner.lastIndex), isCommand: false });
    begin = -1;
  }
  if (begin !== -1) throw new DbbackupError('tool_failed', 'a script ends within a statement');
  return units;
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
