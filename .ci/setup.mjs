/**
 * Brings a checkout to where its programs run, and does nothing where they already do: Debian packages, npm packages, the native addon, TypeScript.
 *   --dev     also compiles tests and benchmarks into dist-dev/
 *   --lint    also installs what `npm run lint` needs
 *   --tidy    also installs what `npm run tidy` needs
 *   --native  also installs what `npm run test:native` needs
 *   --tools   installs packages only and builds nothing
 * Exit status: 0 ready · 1 a step failed · 2 packages are missing and may not be installed by this user.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildAddonArgs, hashFiles, listFiles, root, run, StepError, step, timed } from './steps.mjs';
import { installSystemPackages } from './system-packages.mjs';

const readJson = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'));
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const zstdAddon = 'node_modules/zstd-napi/build/Release/binding.node';

/** True when node_modules holds what package-lock.json names. npm writes the list it is compared with as the last act of an installation. */
const areNpmPackagesInstalled = () => {
  if (!existsSync(join(root, 'node_modules/.package-lock.json'))) return false;
  const installed = readJson('node_modules/.package-lock.json').packages;
  return Object.entries(readJson('package-lock.json').packages).every(
    // An optional package may be one for another platform.
    ([path, entry]) =>
      path === '' || installed[path]?.version === entry.version || (entry.optional === true && installed[path] === undefined),
  );
};

const installNpmPackages = () => {
  if (!areNpmPackagesInstalled()) {
    timed('npm packages', () => run('npm-ci', 'npm', ['ci', '--no-audit', '--no-fund']));
    return true;
  }
  if (existsSync(join(root, zstdAddon))) return false;
  timed('zstd-napi', () => run('zstd-napi', 'npm', ['rebuild', 'zstd-napi']));
  return true;
};

const buildAddon = () => {
  const sources = listFiles('native', (path) => /\.(h|cc|c|S)$/.test(path));
  return step(
    'native addon',
    {
      inputs: hashFiles([...sources, 'binding.gyp', 'package-lock.json']),
      stampPath: 'build/Release/.setup-stamp',
      isThere: () => ['dbbackup.node', 'dbbackup-keeper'].every((name) => existsSync(join(root, 'build/Release', name))),
    },
    () => run('addon', process.execPath, buildAddonArgs),
  );
};

/** Removes compiled files whose source is gone, so that a deleted test does not run on. */
const removeOrphans = (sourceFolders, toOutput) => {
  const outputs = new Set(sourceFolders.flatMap((folder) => listFiles(folder)).map(toOutput));
  return (outputFolder) => {
    for (const path of listFiles(outputFolder, (file) => /\.(js|js\.map|d\.ts)$/.test(file))) {
      if (!outputs.has(path.replace(/\.(js|js\.map|d\.ts)$/, '.ts'))) rmSync(join(root, path));
    }
  };
};

const compile = (title, project, outputFolder, sourceFolders, toOutput, inputs) =>
  step(title, { inputs, stampPath: `${outputFolder}/.setup-stamp` }, () => {
    run(`tsc-${outputFolder}`, process.execPath, [tsc, '-p', project]);
    removeOrphans(sourceFolders, toOutput)(outputFolder);
  });

const configs = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.dev.json'];
const isTypeScript = (path) => path.endsWith('.ts');
const buildTypeScript = () =>
  compile(
    'TypeScript',
    'tsconfig.json',
    'dist',
    ['src'],
    (path) => path.replace(/^src/, 'dist'),
    hashFiles([...listFiles('src', isTypeScript), ...configs]),
  );
const buildTests = () =>
  compile(
    'TypeScript of tests and benchmarks',
    'tsconfig.dev.json',
    'dist-dev',
    ['test', 'bench'],
    (path) => `dist-dev/${path}`,
    hashFiles([...['src', 'test', 'bench'].flatMap((folder) => listFiles(folder, isTypeScript)), ...configs]),
  );

const startedAt = performance.now();
const flags = new Set(process.argv.slice(2));
const build = () => [buildAddon(), buildTypeScript(), flags.has('--dev') && buildTests()];
try {
  const changes = [
    installSystemPackages({ isLint: flags.has('--lint'), isTidy: flags.has('--tidy'), isNative: flags.has('--native') }),
    installNpmPackages(),
    ...(flags.has('--tools') ? [] : build()),
  ];
  const elapsed = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`setup: ${changes.includes(true) ? 'ready' : 'up to date'} (${elapsed} s)\n`);
} catch (error) {
  if (!(error instanceof StepError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
