import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run, StepError, timed } from './steps.mjs';

const isExecutable = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

const hasProgram = (name) =>
  (process.env.PATH ?? '').split(delimiter).some((directory) => directory !== '' && isExecutable(join(directory, name)));
const hasHeader = (path) => existsSync(join('/usr/include', path));

/** True when one PostgreSQL version has all of `programs`: a server of one version and client tools of another do not make a cluster to test with. */
const hasPostgres = (...programs) => {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base) : [];
  return versions.some((version) => programs.every((program) => isExecutable(join(base, version, 'bin', program))));
};

// Files are looked at instead of asking dpkg: it costs nothing, and what somebody built by hand counts too.
const needed = [
  { package: 'g++', isThere: () => hasProgram('g++') },
  { package: 'make', isThere: () => hasProgram('make') },
  { package: 'python3', isThere: () => hasProgram('python3') },
  { package: 'libpq-dev', isThere: () => hasHeader('postgresql/libpq-fe.h') },
  { package: 'liblz4-dev', isThere: () => hasHeader('lz4frame.h') },
  { package: 'libdeflate-dev', isThere: () => hasHeader('libdeflate.h') },
  { package: 'libssl-dev', isThere: () => hasHeader('openssl/ssl.h') },
  { package: 'libxxhash-dev', isThere: () => hasHeader('xxhash.h') },
  { package: 'openssl', isThere: () => hasProgram('openssl') },
  { package: 'zstd', isThere: () => hasProgram('zstd') },
  { package: 'lz4', isThere: () => hasProgram('lz4') },
  { package: 'gzip', isThere: () => hasProgram('gzip') },
  { package: 'xxhash', isThere: () => hasProgram('xxhsum') },
  { package: 'postgresql', isThere: () => hasPostgres('initdb', 'postgres', 'pg_dump', 'pg_restore', 'psql') },
  { package: 'postgresql-client', isThere: () => hasPostgres('pg_dump', 'pg_restore', 'psql') },
];
const neededToLint = [{ package: 'clang-format', isThere: () => hasProgram('clang-format') }];
const neededToTidy = [{ package: 'clang-tidy', isThere: () => hasProgram('clang-tidy') }];
const neededForNativeTests = [
  { package: 'cmake', isThere: () => hasProgram('cmake') },
  { package: 'libgtest-dev', isThere: () => hasHeader('gtest/gtest.h') },
];

// A throwaway cluster is all that is wanted: Debian's package must not create and start one of its own. Its default comes back afterwards.
const installScript = `
set -e
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
conf=/etc/postgresql-common/createcluster.conf
lock='-o DPkg::Lock::Timeout=300'
if [ ! -e "$conf" ]; then
  mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' > "$conf"
  trap 'if [ -e /usr/share/postgresql-common/createcluster.conf ]; then cp /usr/share/postgresql-common/createcluster.conf "$conf"; rm -f "$conf".ucf-dist; else rm -f "$conf"; fi' EXIT
fi
apt-get $lock update || echo 'apt-get update failed; going on with the package lists that are there'
apt-get $lock install -y --no-install-recommends "$@"
`;

/** Installs the Debian packages that are missing. Without the right to do so it prints the line to type and ends with status 2. */
export const installSystemPackages = ({ isLint, isTidy, isNative }) => {
  const wanted = [...needed, ...(isLint ? neededToLint : []), ...(isTidy ? neededToTidy : []), ...(isNative ? neededForNativeTests : [])];
  const missing = () => wanted.filter((entry) => !entry.isThere()).map((entry) => entry.package);
  const packages = missing();
  if (packages.length === 0) return false;

  const isRoot = process.getuid() === 0;
  const prefix = isRoot ? [] : ['sudo', '-n'];
  const canInstall = hasProgram('apt-get') && (isRoot || spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0);
  if (!canInstall) {
    process.stderr.write(`setup: these packages are missing; install them, then run the same command again:\n\n`);
    process.stderr.write(`  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages.join(' ')}\n\n`);
    process.exit(2);
  }
  timed(`Debian packages ${packages.join(' ')}`, () => {
    const [command, ...args] = [...prefix, 'sh', '-c', installScript, 'sh', ...packages];
    run('apt', command, args);
    const stillMissing = missing();
    if (stillMissing.length > 0) throw new StepError(`installed, but not found afterwards: ${stillMissing.join(' ')}`);
  });
  return true;
};
