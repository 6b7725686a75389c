import { DbbackupError } from '../core/errors.js';
import type { Manifest, ManifestDatabase } from './schema.js';

/** Stands for a database's relations. No name or value of a server holds this character. */
const placeholder = '\0';
const quotedPlaceholder = JSON.stringify(placeholder);

/** A relation as it stands within the whole text: four levels deep. Line ends within strings are escaped, so that these are all of the layout. */
const toElement = (relation: unknown): string => `    ${JSON.stringify(relation, null, 1).replaceAll('\n', '\n    ')}`;

/** The parts of `JSON.stringify(manifest, null, 1)` and a line end, one for each relation and those between. */
function* toParts(manifest: Manifest): Generator<string> {
  const isCut = ({ relations }: ManifestDatabase): boolean => relations.length > 0;
  const skeleton = { ...manifest, databases: manifest.databases.map((each) => (isCut(each) ? { ...each, relations: placeholder } : each)) };
  const [head = '', ...tails] = JSON.stringify(skeleton, null, 1).split(quotedPlaceholder);
  const cut = manifest.databases.filter(isCut);
  if (tails.length !== cut.length) throw new DbbackupError('internal', 'the manifest holds a character that no server allows');
  yield head;
  for (const [index, { relations }] of cut.entries()) {
    yield '[\n';
    for (const [number, relation] of relations.entries()) yield `${number === 0 ? '' : ',\n'}${toElement(relation)}`;
    yield '\n   ]';
    yield tails[index] ?? '';
  }
  yield '\n';
}

/**
 * A manifest's text in UTF-8: the bytes of `JSON.stringify(manifest, null, 1)` and a line end, made relation by relation. As one string it would be there three times at
 * its end: a growing buffer, the string, the bytes.
 */
export const encodeText = (manifest: Manifest): Buffer => {
  let sizeBytes = 0;
  for (const part of toParts(manifest)) sizeBytes += Buffer.byteLength(part);
  const content = Buffer.allocUnsafeSlow(sizeBytes);
  let offset = 0;
  for (const part of toParts(manifest)) offset += content.write(part, offset);
  return content;
};
