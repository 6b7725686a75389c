/** `npm run demo [-- --short]`: the main job from nothing to a proven restore, on a throwaway cluster. */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { runDemo } from './demo-run.js';
import { withScratchDirectory } from './scratch.js';
import { withServer } from './server.js';
import { createSteps } from './steps.js';
import { withStopSignals } from './stop-signals.js';

const usage = `Usage: npm run demo [-- --short]

Starts a PostgreSQL cluster of its own, fills a sample database of 500 MB, backs it up, verifies and restores the backup, proves both databases equal,
and times pg_dump and pg_restore beside it. Ends in less than three minutes on two cores and leaves nothing behind, also after Ctrl-C.

  --short   a sample of 60 MB
  --help    this text
`;

const settings = { shared_buffers: '256MB', maintenance_work_mem: '128MB', max_wal_size: '2GB', checkpoint_timeout: '30min' } as const;

const main = async (): Promise<number> => {
  const { values } = parseArgs({ options: { short: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } });
  const write = (text: string): void => void process.stdout.write(text);
  if (values.help) {
    write(usage);
    return 0;
  }
  const sizeGb = values.short ? 0.06 : 0.5;
  return await withStopSignals((signal) =>
    withScratchDirectory('dbbackup-demo-', 2.5e9 + sizeGb * 8e9, async (directory) => {
      const steps = createSteps(write, signal);
      await withServer({ baseDir: directory, settings }, signal, async (cluster) => {
        const list = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
        write(
          `PostgreSQL ${await cluster.psql('postgres', 'SHOW server_version')} on ${availableParallelism()} cores, fsync on, ${list.join(', ')}\n\n`,
        );
        await runDemo({ cluster, directory, sizeGb, steps, signal, write });
      });
      return 0;
    }),
  );
};

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exitCode = 2;
}
