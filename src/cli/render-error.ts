import type { DbbackupError, ErrorDetails } from '../core/errors.js';
import type { Style } from './style.js';
import { toPrintableLines } from './text.js';

/** Details that are shown, in this order. */
const shownDetails = [
  'object',
  'detail',
  'severity',
  'sqlstate',
  'schema',
  'table',
  'path',
] as const satisfies readonly (keyof ErrorDetails)[];

/**
 * An error for people: one line that says what happened, then its code, details and hint. With `isVerbose` also its causes, later errors and stacks.
 * `redact` masks secrets.
 */
export const formatError = (error: DbbackupError, style: Style, isVerbose: boolean, redact: (text: string) => string): string => {
  const line = (label: string, text: string): string => `  ${label}: ${toPrintableLines(redact(text), '    ')}`;
  const { details } = error;
  const lines = [`dbbackup: ${style.red('error:')} ${toPrintableLines(redact(error.message), '  ')}`, line('code', error.code)];
  for (const name of shownDetails) {
    const value = details[name];
    // Most messages name their object already.
    if (value !== undefined && !(name === 'object' && error.message.includes(value))) lines.push(line(name, value));
  }
  if (isVerbose) {
    for (const later of details.later ?? []) lines.push(line('later', later.message));
    for (const cause of causesOf(error)) lines.push(line('cause', cause));
    if (error.stack !== undefined) lines.push(line('stack', error.stack));
  }
  if (error.hint !== undefined) lines.push(line('hint', error.hint));
  return `${lines.join('\n')}\n`;
};

/** Messages of an error's causes, outermost first. */
export const causesOf = (error: Error): readonly string[] => {
  const messages: string[] = [];
  for (let cause = error.cause; cause !== undefined && cause !== null; cause = cause instanceof Error ? cause.cause : undefined) {
    messages.push(cause instanceof Error ? cause.message : String(cause));
    // A cycle of causes is somebody's defect, but not one to hang on.
    if (messages.length === 10) break;
  }
  return messages;
};
