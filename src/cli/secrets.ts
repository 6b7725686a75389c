import type { Event } from '../core/events.js';
import { createRedactor, findSecrets, redactSecrets } from '../core/redact.js';
import type { Request } from './args.js';

/** Fields of Events that hold prose, in which a secret may stand in any form. */
const proseFields: ReadonlySet<string> = new Set(['message', 'hint', 'detail']);

/** Masks the secrets of a run wherever its text leaves the process. */
export interface Redactor {
  text(text: string): string;
  /** Names and paths are compared with the secrets' patterns only: a password that is a common word must not garble them. */
  event(event: Event): Event;
}

/** A Redactor for the secrets a request and the environment bring, and those found out later. */
export const createRunRedactor = (secrets: readonly string[]): Redactor => {
  const text = createRedactor(secrets);
  return {
    text,
    event: (event) =>
      Object.fromEntries(
        Object.entries(event).map(([name, value]) => [
          name,
          typeof value === 'string' ? (proseFields.has(name) ? text(value) : redactSecrets(value)) : value,
        ]),
      ) as unknown as Event,
  };
};

/** Secrets that stand in the arguments or in the environment. */
export const findRequestSecrets = (request: Request, environment: Readonly<Record<string, string | undefined>>): readonly string[] => {
  const database = 'connection' in request.options ? (request.options.connection?.database ?? '') : '';
  const inConnection = findSecrets(database);
  return [...inConnection, environment['PGPASSWORD'] ?? ''].filter((secret) => secret !== '');
};
