import { DbbackupError } from './errors.js';

/** One character of a pattern: taken as it is, or with the meaning it has in a regular expression. */
interface Token {
  readonly text: string;
  readonly isLiteral: boolean;
}

/** A psql pattern, split at its dots. */
export interface NamePattern {
  /** As typed. */
  readonly text: string;
  /** Null where the pattern names no schema: then only what the search path shows matches. Always null in a pattern of schemas. */
  readonly schema: readonly Token[] | null;
  readonly name: readonly Token[];
}

const syntaxCharacters = /[|*+?()[\]{}.^$\\]/;

/**
 * Reads a pattern as pg_dump does (`patternToSQLRegex`, src/fe_utils/string_utils.c of PostgreSQL 15 and later): letters outside double quotes are folded to lower case, `*` is any text,
 * `?` any character, a dot outside quotes parts schema from name, `$` is itself, and other characters outside quotes mean what they mean in a regular expression.
 * `database` is the one that a pattern with one part more may name. Errors: `usage` for too many parts or another database.
 */
export const parseNamePattern = (text: string, kind: 'schema' | 'table', database: string | null = null): NamePattern => {
  const parts = splitPattern(text);
  const most = kind === 'table' ? 2 : 1;
  if (parts.length > most + 1) throw new DbbackupError('usage', `the pattern ${JSON.stringify(text)} has too many dotted parts`);
  if (parts.length === most + 1) {
    const [first = []] = parts.splice(0, 1);
    const named = first.map((token) => token.text).join('');
    if (database !== null && named !== database)
      throw new DbbackupError('usage', `the pattern ${JSON.stringify(text)} names another database`, { details: { object: named } });
  }
  const name = parts.at(-1) ?? [];
  return { text, schema: kind === 'table' && parts.length === 2 ? (parts[0] ?? []) : null, name };
};

const splitPattern = (text: string): Token[][] => {
  const parts: Token[][] = [[]];
  let isQuoted = false;
  const characters = [...text];
  for (let index = 0; index < characters.length; index += 1) {
    const character = characters[index] ?? '';
    const part = parts.at(-1) ?? [];
    if (character === '"') {
      if (isQuoted && characters[index + 1] === '"') {
        part.push({ text: '"', isLiteral: true });
        index += 1;
      } else isQuoted = !isQuoted;
    } else if (isQuoted || character === '$') part.push({ text: character, isLiteral: true });
    else if (character === '.') parts.push([]);
    else if (character === '*') part.push({ text: '.*', isLiteral: false });
    else if (character === '?') part.push({ text: '.', isLiteral: false });
    // More likely an array type's name than a bracket expression, psql says.
    else if (character === '[' && characters[index + 1] === ']') part.push({ text: '[', isLiteral: true });
    else part.push({ text: /[A-Z]/.test(character) ? character.toLowerCase() : character, isLiteral: !syntaxCharacters.test(character) });
  }
  return parts;
};

/** A part of a pattern as PostgreSQL's regular expression, for the operator `~`. */
export const toServerRegex = (tokens: readonly Token[]): string =>
  `^(${tokens.map(({ text, isLiteral }) => (isLiteral && syntaxCharacters.test(text) ? `\\${text}` : text)).join('')})$`;

/**
 * The same for names that are not on a server. Errors: `usage` where the pattern holds what the two kinds of regular expressions read differently: back-slashes, classes such as
 * `[[:digit:]]`, and what is no regular expression.
 */
const toLocalRegex = (tokens: readonly Token[], text: string): RegExp => {
  const source = toLocalSource(tokens);
  const refuse = (cause?: unknown): DbbackupError =>
    new DbbackupError('usage', `the pattern ${JSON.stringify(text)} is no regular expression that can be matched against a backup`, {
      cause,
      details: { object: text, hint: 'Put characters that stand for themselves into double quotes.' },
    });
  const isForeign = tokens.some((token) => !token.isLiteral && token.text === '\\') || /(?<!\\)\[\^?(?:[^\]]*)\[[:.=]/.test(source);
  if (isForeign) throw refuse();
  try {
    return new RegExp(`^(?:${source})$`, 'su');
  } catch (error) {
    throw refuse(error);
  }
};

/** A closing bracket that closes nothing is itself to PostgreSQL and an error to JavaScript. */
const toLocalSource = (tokens: readonly Token[]): string => {
  let isInClass = false;
  return tokens
    .map(({ text, isLiteral }) => {
      if (isLiteral) return escapeLiteral(text);
      if (text === ']' && !isInClass) return '\\]';
      if (text === '[' || text === ']') isInClass = text === '[';
      return text;
    })
    .join('');
};

const escapeLiteral = (text: string): string => (syntaxCharacters.test(text) || text === '/' ? `\\${text}` : text);

/** A name to be matched, and whether the search path shows it. */
export interface MatchableName {
  readonly schema: string;
  readonly name: string;
  readonly isVisible: boolean;
}

/** A predicate for names of relations. Errors: `usage`, as above. */
export const toRelationMatcher = (pattern: NamePattern): ((relation: MatchableName) => boolean) => {
  const name = toLocalRegex(pattern.name, pattern.text);
  const schema = pattern.schema === null ? null : toLocalRegex(pattern.schema, pattern.text);
  return (relation) => name.test(relation.name) && (schema === null ? relation.isVisible : schema.test(relation.schema));
};

/** A predicate for names of schemas. Errors: `usage`, as above. */
export const toSchemaMatcher = (pattern: NamePattern): ((schema: string) => boolean) => {
  const name = toLocalRegex(pattern.name, pattern.text);
  return (schema) => name.test(schema);
};
