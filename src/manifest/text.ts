import { DbbackupError } from '../core/errors.js';
import type { Manifest, ManifestRelation } from './schema.js';

/** Stands for a database's relations. No name or value of a server holds this character. */
const placeholder = '\0';
const quotedPlaceholder = JSON.stringify(placeholder);

/** A relation as it stands within the whole text: four levels deep. Line ends within strings are escaped, so that these are all of the layout. */
const toElement = (relation: unknown): string => `    ${JSON.stringify(relation, null, 1).replaceAll('\n', '\n    ')}`;

/** Relations of one database, and what brings one into the form in which it is written. */
export interface TextRelations {
  readonly relations: readonly ManifestRelation[];
  readonly toWritten: (relation: ManifestRelation, index: number) => ManifestRelation;
}

/** The parts of `JSON.stringify(manifest, null, 1)` and a line end, one for each relation and those between. */
function* toParts(frame: Manifest, lists: readonly TextRelations[]): Generator<string> {
  const databases = frame.databases.map((each, index) =>
    (lists[index]?.relations.length ?? 0) > 0 ? { ...each, relations: placeholder } : each,
  );
  const [head = '', ...tails] = JSON.stringify({ ...frame, databases }, null, 1).split(quotedPlaceholder);
  const cut = lists.filter(({ relations }) => relations.length > 0);
  if (tails.length !== cut.length) throw new DbbackupError('internal', 'the manifest holds a character that no server allows');
  yield head;
  for (const [index, { relations, toWritten }] of cut.entries()) {
    yield '[\n';
    for (const [number, relation] of relations.entries()) yield `${number === 0 ? '' : ',\n'}${toElement(toWritten(relation, number))}`;
    yield '\n   ]';
    yield tails[index] ?? '';
  }
  yield '\n';
}

/**
 * A manifest's text in UTF-8: the bytes of `JSON.stringify(manifest, null, 1)` and a line end. `frame` is the manifest with no relations; each database's are in `lists` and
 * are written one by one: as a whole, the text would be there three times at its end, as a growing buffer, a string and its bytes.
 */
export const encodeText = (frame: Manifest, lists: readonly TextRelations[]): Buffer => {
  let sizeBytes = 0;
  for (const part of toParts(frame, lists)) sizeBytes += Buffer.byteLength(part);
  const content = Buffer.allocUnsafeSlow(sizeBytes);
  let offset = 0;
  for (const part of toParts(frame, lists)) offset += content.write(part, offset);
  return content;
};
