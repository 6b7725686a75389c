/** Names as people read them and names as SQL needs them. Quoting itself is done by the server: `format('%I')`, `quote_ident`. */

/** `public.orders`: for messages, events and progress. Control characters are shown as escapes so that a name stays on its line. Never SQL. */
export const displayName = (relation: { readonly schema: string; readonly name: string }): string =>
  displayText(`${relation.schema}.${relation.name}`);

/** Text with control characters shown as escapes. */
export const displayText = (text: string): string =>
  text.replace(/[\p{Cc}\u2028\u2029]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * Names that the server quoted, made safe for a session whose `client_encoding` is `encoding`: there a statement's bytes are taken as that encoding
 * while they leave here as UTF-8. Quoted identifiers with non-ASCII characters become `U&"…"`, which means the same in every encoding (PostgreSQL 13).
 * UTF8 needs nothing, SQL_ASCII allows nothing: both return `quoted` as it is. Quoted means: nothing outside double quotes but `[a-z0-9_.$, ]`.
 */
export const toClientEncoding = (quoted: string, encoding: string): string =>
  isPassedThrough(encoding)
    ? quoted
    : quoted.replace(/"(?:[^"]|"")*"/g, (identifier) => (isAscii(identifier) ? identifier : `U&${escapeUnicode(identifier)}`));

/** `value` as an SQL string literal, for `standard_conforming_strings = on`, safe for a session whose `client_encoding` is `encoding`. */
export const toLiteral = (value: string, encoding: string): string => {
  const literal = `'${value.replaceAll("'", "''")}'`;
  return isPassedThrough(encoding) || isAscii(literal) ? literal : `U&${escapeUnicode(literal)}`;
};

/** Whether UTF-8 text reaches a server of this encoding unconverted. */
export const isPassedThrough = (encoding: string): boolean => encoding === 'UTF8' || encoding === 'SQL_ASCII';

export const isAscii = (text: string): boolean => /^\p{ASCII}*$/u.test(text);

/** The escapes of `U&"…"` and `U&'…'`: a backslash is doubled, what is not ASCII is written by its code point. */
const escapeUnicode = (text: string): string =>
  text.replaceAll('\\', '\\\\').replace(/\P{ASCII}/gu, (char) => {
    const hex = (char.codePointAt(0) ?? 0).toString(16);
    return hex.length <= 4 ? `\\${hex.padStart(4, '0')}` : `\\+${hex.padStart(6, '0')}`;
  });
