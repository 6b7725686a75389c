/** The program's entry: gives the CLI its process. Commands are loaded when they are called, so that --help need not wait for them. */
import { keepHeapSmall } from './heap.js';
import { runCli } from './run.js';

keepHeapSmall();

// A reader that has gone (`dbbackup list | head -1`) is no error of ours, and no reason to end a backup.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

// A password within an argument must not stand in the process list longer than it has to.
const argv = process.argv.slice(2);
process.title = 'dbbackup';

let hasEnded = false;
process.on('beforeExit', () => {
  if (hasEnded) return;
  // Nothing is left that could finish the run: without this the process would end in silence.
  process.stderr.write('dbbackup: error: the run ended without an outcome\n  code: internal\n  hint: Please report it with the log.\n');
  process.exit(1);
});

process.exitCode = await runCli(
  argv,
  { stdout: process.stdout, stderr: process.stderr, environment: process.env },
  {
    backup: async (options, context) => (await import('../commands/backup.js')).backup(options, context),
    backupCluster: async (options, context) => (await import('../commands/backup-cluster.js')).backupCluster(options, context),
    resume: async (options, context) => (await import('../commands/resume.js')).resume(options, context),
    restoreCluster: async (options, context) => (await import('../commands/restore-cluster.js')).restoreCluster(options, context),
    restore: async (options, context) => (await import('../commands/restore.js')).restore(options, context),
    listRestore: async (options) => (await import('../commands/restore-list.js')).listRestore(options),
    preflight: async (options, context) => (await import('../commands/preflight.js')).preflight(options, context),
    preflightCluster: async (options, context) => (await import('../commands/preflight.js')).preflightCluster(options, context),
    preflightRestore: async (options, context) => (await import('../commands/preflight-restore.js')).preflightRestore(options, context),
    estimate: async (options, context) => (await import('../commands/estimate.js')).estimate(options, context),
    verify: async (options, context) => (await import('../commands/verify.js')).verify(options, context),
    list: async (options) => (await import('../commands/list.js')).list(options),
    show: async (options) => (await import('../commands/show.js')).show(options),
    listKeepers: async () => (await import('../commands/keeper.js')).listKeepers(),
    stopKeepers: async (options) => (await import('../commands/keeper.js')).stopKeepers(options),
    deleteBackup: async (options) => (await import('../commands/delete.js')).deleteBackup(options),
  },
);
hasEnded = true;
