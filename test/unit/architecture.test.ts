import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findCycle, readCxxFiles, readTypeScriptFiles, type SourceFile } from '../support/source-files.js';

/** Each room and the rooms it may import; its own files always. A new room is entered here, below those that use it. */
const typeScriptRooms: Readonly<Record<string, readonly string[]>> = {
  core: [],
  native: ['core'],
  storage: ['core'],
  metrics: ['core'],
  keeper: ['native', 'core'],
  catalog: ['native', 'core'],
  tools: ['native', 'core'],
  planner: ['catalog', 'core'],
  manifest: ['planner', 'catalog', 'storage', 'core'],
  resume: ['manifest', 'planner', 'catalog', 'storage', 'native', 'core'],
  engine: ['planner', 'native', 'core'],
  preflight: ['planner', 'catalog', 'core'],
  'restore-kit': ['manifest', 'planner', 'catalog', 'storage', 'core'],
  commands: [
    'preflight',
    'resume',
    'keeper',
    'restore-kit',
    'engine',
    'manifest',
    'planner',
    'tools',
    'catalog',
    'metrics',
    'storage',
    'native',
    'core',
  ],
  cli: ['commands', 'metrics', 'core'],
  'index.ts': ['commands', 'core'],
};

const cxxRooms: Readonly<Record<string, readonly string[]>> = {
  base: [],
  memory: ['base'],
  pg: ['memory', 'base'],
  codec: ['memory', 'base'],
  io: ['memory', 'base'],
  pipeline: ['pg', 'codec', 'io', 'memory', 'base'],
  keeper: ['pg', 'base'],
  addon: ['pipeline', 'pg', 'codec', 'io', 'memory', 'base'],
};

const source = readTypeScriptFiles('src');
const native = readCxxFiles('native');

/** `src/core/errors.ts` → `core`. */
const toRoom = (path: string): string => path.split('/')[1] ?? '';

/** One line for each import that a room's list does not allow. */
const findTrespasses = (
  files: readonly SourceFile[],
  root: string,
  rooms: Readonly<Record<string, readonly string[]>>,
): readonly string[] =>
  files.flatMap(({ path, imports }) =>
    imports
      .filter((imported) => imported.startsWith(`${root}/`))
      .filter((imported) => toRoom(imported) !== toRoom(path) && rooms[toRoom(path)]?.includes(toRoom(imported)) !== true)
      .map((imported) => `${path} imports ${imported}`),
  );

const findImporters = (files: readonly SourceFile[], matches: (imported: string) => boolean, isAllowed: (path: string) => boolean) =>
  files.filter(({ path, imports }) => imports.some(matches) && !isAllowed(path)).map(({ path }) => path);

const findUsers = (files: readonly SourceFile[], names: readonly string[], isAllowed: (path: string) => boolean) =>
  files.filter(({ path, globals }) => globals.some((name) => names.includes(name)) && !isAllowed(path)).map(({ path }) => path);

describe('rooms of TypeScript', () => {
  it('are the ones this test knows', () => {
    assert.deepEqual(
      [...new Set(source.map(({ path }) => toRoom(path)))].filter((room) => typeScriptRooms[room] === undefined),
      [],
    );
  });

  it('import downwards only', () => {
    assert.deepEqual(findTrespasses(source, 'src', typeScriptRooms), []);
  });

  it('import each other by relative paths only', () => {
    assert.deepEqual(
      findImporters(
        source,
        (imported) => imported.startsWith('#') || imported === 'dbbackup',
        () => false,
      ),
      [],
    );
  });

  it('have no cycle of files', () => {
    assert.equal(findCycle(source)?.join(' → '), undefined);
  });

  it('reach the addon only through src/native', () => {
    const isBinding = (imported: string): boolean => imported === 'node:module' || imported.endsWith('.node');
    assert.deepEqual(
      findImporters(source, isBinding, (path) => toRoom(path) === 'native'),
      [],
    );
  });

  it('touch the process only in cli and in src/native’s load and host', () => {
    const isAllowed = (path: string): boolean => toRoom(path) === 'cli' || /^src\/native\/(load|host)\.ts$/.test(path);
    assert.deepEqual(findUsers(source, ['process', 'globalThis'], isAllowed), []);
    assert.deepEqual(
      findImporters(source, (imported) => imported === 'node:process', isAllowed),
      [],
    );
  });

  it('print only in cli', () => {
    assert.deepEqual(
      findUsers(source, ['console'], (path) => toRoom(path) === 'cli'),
      [],
    );
  });

  it('are pure where they plan, fold and count: no I/O, no clock, no randomness', () => {
    // The journal and the manifest's store are manifest's two doors to a storage.
    const pure = source.filter(
      ({ path }) => /^src\/(planner|metrics|manifest)\//.test(path) && !/^src\/manifest\/(journal|store)\.ts$/.test(path),
    );
    const isImpure = (imported: string): boolean =>
      imported.startsWith('node:') && imported !== 'node:crypto' && imported !== 'node:path/posix';
    assert.deepEqual(
      findImporters(pure, isImpure, () => false),
      [],
    );
    const clocks = ['process', 'console', 'performance', 'Date.now', 'Math.random', 'new Date()', 'setTimeout', 'setInterval', 'fetch'];
    assert.deepEqual(
      findUsers(pure, clocks, () => false),
      [],
    );
  });
});

describe('rooms of C++', () => {
  it('are the ones this test knows', () => {
    assert.deepEqual(
      [...new Set(native.map(({ path }) => toRoom(path)))].filter((room) => cxxRooms[room] === undefined),
      [],
    );
  });

  it('include downwards only', () => {
    assert.deepEqual(findTrespasses(native, 'native', cxxRooms), []);
  });

  it('include existing files by their path below native/', () => {
    const paths = new Set(native.map(({ path }) => path));
    const missing = native.flatMap(({ path, imports }) =>
      imports.filter((name) => name.startsWith('native/') && !paths.has(name)).map((name) => `${path}: ${name}`),
    );
    assert.deepEqual(missing, []);
  });

  it('have no cycle of files', () => {
    assert.equal(findCycle(native)?.join(' → '), undefined);
  });

  it('keep Node-API in addon and libpq in pg', () => {
    assert.deepEqual(
      findImporters(
        native,
        (name) => /^(napi|node|node_api|uv|v8)\.h$/.test(name),
        (path) => toRoom(path) === 'addon',
      ),
      [],
    );
    assert.deepEqual(
      findImporters(
        native,
        (name) => name.endsWith('libpq-fe.h'),
        (path) => toRoom(path) === 'pg',
      ),
      [],
    );
  });
});

describe('the rules themselves', () => {
  const file = (path: string, ...imports: readonly string[]): SourceFile => ({ path, imports, globals: [] });

  it('notice an import upwards and a cycle', () => {
    const files = [file('src/core/a.ts', 'src/cli/b.ts'), file('src/cli/b.ts', 'src/core/a.ts')];
    assert.deepEqual(findTrespasses(files, 'src', typeScriptRooms), ['src/core/a.ts imports src/cli/b.ts']);
    assert.deepEqual(findCycle(files), ['src/core/a.ts', 'src/cli/b.ts', 'src/core/a.ts']);
  });

  it('read imports and globals from code, not from comments', () => {
    const cli = source.find(({ path }) => path === 'src/core/context.ts');
    assert.ok(cli?.globals.includes('Date.now'));
    assert.ok(source.find(({ path }) => path === 'src/native/binding.ts')?.globals.includes('process') === false);
  });
});
