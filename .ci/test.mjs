/**
 * Runs compiled tests on one PostgreSQL cluster that they share: `node .ci/test.mjs [folder or file …] [--option of node --test …]`.
 * Without a folder or file all quick tests run. A path may name the source (`test/unit/planner`, `unit`, `test/integration/support.test.ts`).
 */
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { listFiles, root } from './steps.mjs';

const folders = ['unit', 'damaged', 'integration', 'contract', 'faults', 'e2e', 'oracle'];
const withoutCluster = /^dist-dev\/test\/unit\//;
const args = process.argv.slice(2);

/** `--runs N` and `--seed S` of the oracle: how many databases are made at random, and from which number; `--kills N` of the faults: how often a run is killed. */
const takeNumber = (name) => {
  const index = args.indexOf(name);
  return index === -1 ? undefined : args.splice(index, 2)[1];
};
const numbersEnv = Object.fromEntries(
  [
    ['DBBACKUP_ORACLE_RUNS', takeNumber('--runs')],
    ['DBBACKUP_ORACLE_SEED', takeNumber('--seed')],
    ['DBBACKUP_TEST_KILLS', takeNumber('--kills')],
  ].filter(([, value]) => value !== undefined),
);
const options = args.filter((arg) => arg.startsWith('-'));
const wanted = args.filter((arg) => !arg.startsWith('-'));

const filesOf = (path) => {
  const compiled = join('dist-dev/test', path.replace(/^(dist-dev\/)?test\//, '').replace(/\.ts$/, '.js'));
  const isTest = (file) => file.endsWith('.test.js');
  if (existsSync(join(root, compiled)) && statSync(join(root, compiled)).isFile()) return [compiled];
  return listFiles(compiled, isTest);
};

const files = (wanted.length > 0 ? wanted : folders).flatMap(filesOf);
if (files.length === 0) {
  process.stderr.write(`no test found in ${(wanted.length > 0 ? wanted : folders).join(', ')}\n`);
  process.exit(1);
}

const { sharedClusterVariable, startSharedCluster } = await import(join(root, 'dist-dev/test/support/shared-cluster.js'));
const cluster = files.every((file) => withoutCluster.test(file)) ? undefined : await startSharedCluster();

// A file that hangs is ended; the limit is far above what the slowest needs.
const nodeOptions = ['--enable-source-maps', '--test', '--test-reporter=spec', '--test-concurrency=2', '--test-timeout=600000'];
const runner = spawn(process.execPath, [...nodeOptions, ...options, ...files], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, ...numbersEnv, ...(cluster === undefined ? {} : { [sharedClusterVariable]: cluster.coordinates }) },
});
// The terminal sends Ctrl-C to the runner too; it ends by itself, and the cluster is stopped after it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => runner.kill(signal));
const [status, signal] = await new Promise((resolve) => runner.on('close', (...outcome) => resolve(outcome)));
await cluster?.stop();
process.exitCode = status ?? (signal === 'SIGINT' ? 130 : 143);
