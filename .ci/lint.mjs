/** Checks the form of the code, or with --fix corrects it: Biome for TypeScript and JSON, clang-format for C++. Types are checked by the compiler in setup. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { listFiles, root } from './steps.mjs';

const isFix = process.argv.includes('--fix');
const check = (command, args) => {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.error) process.stderr.write(`${command}: ${result.error.message}\n`);
  return result.status === 0;
};

const cxx = ['native', 'test/native', 'bench/native'].flatMap((folder) => listFiles(folder, (path) => /\.(h|cc)$/.test(path)));
const outcomes = [
  check(process.execPath, [
    join(root, 'node_modules/@biomejs/biome/bin/biome'),
    'check',
    '--error-on-warnings',
    ...(isFix ? ['--write'] : []),
    '.',
  ]),
  cxx.length === 0 || check('clang-format', [...(isFix ? ['-i'] : ['--dry-run', '-Werror']), ...cxx]),
];
const isClean = !outcomes.includes(false);
process.stdout.write(`lint: ${isClean ? `clean (TypeScript, ${cxx.length} C++ files)` : 'see above'}\n`);
process.exitCode = isClean ? 0 : 1;
