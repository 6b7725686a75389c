import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

// What a test changes in a manifest is checked by the reader, not by the compiler.
// biome-ignore lint/suspicious/noExplicitAny: as said above
export type Json = any;

/** Changes a manifest by hand, and its checksum with it, as somebody would who means it. */
export const editManifest = async (directory: string, change: (manifest: Json) => void): Promise<void> => {
  const path = join(directory, 'manifest.json');
  const manifest: Json = JSON.parse(await readFile(path, 'utf8'));
  change(manifest);
  const text = JSON.stringify(manifest);
  await writeFile(path, text);
  await writeFile(join(directory, 'manifest.sha256'), `${createHash('sha256').update(text).digest('hex')}  manifest.json\n`);
};

/** Inverts one bit of a file; a negative position counts from the end. A second call takes it back. */
export const flipBit = async (path: string, position: number): Promise<void> => {
  const bytes = await readFile(path);
  const index = position < 0 ? bytes.length + position : position;
  bytes[index] = (bytes[index] ?? 0) ^ 0x10;
  await writeFile(path, bytes);
};
