import { readFileSync } from 'node:fs';

/** This package's version, as package.json tells it. */
export const readToolVersion = (): string => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { readonly version: string };
  return version;
};
