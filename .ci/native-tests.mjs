/**
 * Builds the native code without Node and runs its GoogleTest suite: `node .ci/native-tests.mjs [--sanitize] [--tidy]`.
 *   --sanitize  once with AddressSanitizer and UndefinedBehaviorSanitizer, once with ThreadSanitizer
 *   --tidy      runs clang-tidy over the sources instead of the tests
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { listFiles, root } from './steps.mjs';

const jobs = String(availableParallelism());

const run = (command, args, env = {}) => {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } });
  if (result.status === 0) return;
  process.stderr.write(`${command} ${args.join(' ')}: ${result.error?.message ?? `exit status ${result.status ?? result.signal}`}\n`);
  process.exit(1);
};

/** What native/CMakeLists.txt is told for each kind of build, and what its programs find in their environment. */
const kinds = {
  plain: { options: [], env: {} },
  asan: {
    options: ['-DDBBACKUP_SANITIZE=address'],
    env: { ASAN_OPTIONS: 'detect_stack_use_after_return=1:strict_string_checks=1', UBSAN_OPTIONS: 'print_stacktrace=1' },
  },
  tsan: { options: ['-DDBBACKUP_SANITIZE=thread'], env: { TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1' } },
  tidy: { options: ['-DDBBACKUP_TESTS=OFF'], env: {} },
};

const configure = (kind) => {
  const directory = join(root, `build/cmake-${kind}`);
  run('cmake', ['-S', join(root, 'native'), '-B', directory, '-DCMAKE_BUILD_TYPE=RelWithDebInfo', ...kinds[kind].options]);
  return directory;
};

const testNative = async (kind) => {
  const directory = configure(kind);
  run('cmake', ['--build', directory, '--parallel', jobs]);
  process.stdout.write(`native tests (${kind})\n`);
  run('ctest', ['--test-dir', directory, '--output-on-failure', '--no-tests=error', '--timeout', '600', '--parallel', jobs], {
    ...kinds[kind].env,
    ...clusterEnv,
  });
};

const args = new Set(process.argv.slice(2));
if (args.has('--tidy')) {
  const directory = configure('tidy');
  const sources = listFiles('native', (path) => path.endsWith('.cc') && !path.startsWith('native/addon/'));
  run('clang-tidy', ['-p', directory, '--quiet', '--warnings-as-errors=*', ...sources]);
  process.exit(0);
}

// Tests of native/pg talk to a real server.
const { startCluster } = await import(join(root, 'dist-dev/test/support/cluster.js'));
const cluster = await startCluster({ isTls: true });
const clusterEnv = { ...cluster.env('postgres'), DBBACKUP_TEST_CA: cluster.caPath };
for (const kind of args.has('--sanitize') ? ['asan', 'tsan'] : ['plain']) await testNative(kind);
await cluster.stop();
