import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../../support/cluster.js';

/**
 * A directory whose client tools are the installed ones, except that they say they are version 9.6: what a machine with an old package shows.
 * Client tools older than a server that can be started here are not to be had.
 */
export const makeOldTools = async (cluster: Cluster, directory: string): Promise<string> => {
  await mkdir(directory, { recursive: true });
  for (const name of ['pg_dump', 'pg_restore', 'psql']) {
    const path = join(directory, name);
    await writeFile(
      path,
      `#!/bin/sh\n[ "$1" = --version ] && echo '${name} (PostgreSQL) 9.6.24' && exit\nexec '${join(cluster.binDir, name)}' "$@"\n`,
    );
    await chmod(path, 0o755);
  }
  return directory;
};
