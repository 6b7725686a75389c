const mask = '***';

/** Shorter secrets are left to the patterns: hiding every `a` of a text would tell more than it hides. */
const minLiteralLength = 4;

const quoted = String.raw`'(?:[^'\\]|\\.|'')*'?`;
/** Up to the last `@` of the word: a password with an unescaped `@` or `/` must not show its tail. */
const uriPassword = /\b(postgres(?:ql)?:\/\/[^\s:@/?#"']*):\S*@/gi;
/** `password=…` of keyword strings, URI parameters and environments, and SQL's `PASSWORD '…'` and `OPTIONS (password '…')`. */
const keywordPassword = new RegExp(String.raw`((?:pg|ssl)?password\s*=\s*)(?:${quoted}|(?:\\.|[^\s&'\\])+)`, 'gi');
const sqlPassword = new RegExp(String.raw`\b(password\s+)${quoted}`, 'gi');

/** `text` with the passwords of connection URIs, keyword strings and SQL masked. Also masks some harmless text that looks alike. */
export const redactSecrets = (text: string): string =>
  text.replace(uriPassword, `$1:${mask}@`).replace(keywordPassword, `$1${mask}`).replace(sqlPassword, `$1${mask}`);

/** The passwords written in a connection URI or keyword string, as written and decoded. Empty for a plain database name. */
export const findSecrets = (connection: string): readonly string[] => {
  const found = new Set<string>();
  const fromUri = /^postgres(?:ql)?:\/\/[^\s:@/?#]*:(.*)@/is.exec(connection)?.[1];
  if (fromUri !== undefined) found.add(fromUri);
  for (const match of connection.matchAll(/password\s*=\s*(?:'((?:[^'\\]|\\.)*)'?|((?:\\.|[^\s&'\\])+))/gi))
    found.add(match[1] ?? match[2] ?? '');
  for (const secret of [...found]) found.add(decodePercent(secret)).add(secret.replace(/\\(.)/gs, '$1'));
  found.delete('');
  return [...found];
};

/** A function that masks these secrets wherever they stand, besides what `redactSecrets` masks. */
export const createRedactor = (secrets: readonly string[]): ((text: string) => string) => {
  // Longest first: a secret may hold another one.
  const literals = secrets.filter((secret) => secret.length >= minLiteralLength).sort((a, b) => b.length - a.length);
  return (text) => redactSecrets(literals.reduce((masked, secret) => masked.replaceAll(secret, mask), text));
};

const decodePercent = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not percent-encoded UTF-8: there is no second spelling to hide.
    return text;
  }
};
