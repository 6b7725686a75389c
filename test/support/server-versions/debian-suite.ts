import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.js';

/** The mirror this system takes Debian's own packages from, as its sources name it. Throws where there is none, as on other distributions. */
const findDebianMirror = (): string => {
  const uris = run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages']).split('\n');
  const mirror = uris.find((uri) => /\/debian\/?$/.test(uri));
  if (mirror === undefined) throw new Error('no source of apt is a mirror of Debian');
  return mirror;
};

/** A root of apt's own below `directory`: the system's lists, state and packages are neither read nor touched. Gives the environment that makes apt use it. */
const makeAptRoot = (directory: string, suite: string): NodeJS.ProcessEnv => {
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'parts']) mkdirSync(join(directory, name), { recursive: true });
  writeFileSync(join(directory, 'status'), '');
  writeFileSync(
    join(directory, 'sources.list'),
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${findDebianMirror()} ${suite} main\n`,
  );
  const options: Readonly<Record<string, string>> = {
    'Dir::State': join(directory, 'state'),
    'Dir::State::status': join(directory, 'status'),
    'Dir::Cache': join(directory, 'cache'),
    'Dir::Etc::sourcelist': join(directory, 'sources.list'),
    'Dir::Etc::sourceparts': join(directory, 'parts'),
    'Dir::Etc::preferences': join(directory, 'no-preferences'),
    'Dir::Etc::preferencesparts': join(directory, 'parts'),
    'Acquire::Languages': 'none',
    // Apt's own user could not write here.
    'APT::Sandbox::User': 'root',
  };
  const path = join(directory, 'apt.conf');
  writeFileSync(
    path,
    Object.entries(options)
      .map(([name, value]) => `${name} "${value}";\n`)
      .join(''),
  );
  return { ...process.env, APT_CONFIG: path };
};

// Of what the packages need, only libraries are wanted. LLVM alone would be larger than all the rest; without it nothing is compiled at run time.
const isWanted = (name: string): boolean => name.startsWith('lib') && !/^lib(llvm|clang|perl|python|tcl)/.test(name);
const dependsArgs = ['depends', '--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks', '--no-replaces', '--no-enhances'];

/** `packages` and all libraries they need, directly or through others. */
const closeOverLibraries = (packages: readonly string[], env: NodeJS.ProcessEnv): readonly string[] => {
  const found = new Set(packages);
  for (let fresh: readonly string[] = packages; fresh.length > 0; ) {
    const lines = run('apt-cache', [...dependsArgs, ...fresh], { env }).split('\n');
    const names = lines.map((line) => /^ [ |](?:Pre)?Depends: ([^<\s]+)$/.exec(line)?.[1] ?? '').filter(isWanted);
    fresh = [...new Set(names)].filter((name) => !found.has(name));
    for (const name of fresh) found.add(name);
  }
  return [...found];
};

/** PostGIS' packages choose among versions of its control files by an alternative of the system, which nothing has set here. */
const linkControlFiles = (folder: string): void => {
  for (const file of readdirSync(folder)) {
    const name = /^(.+)-[0-9]+\.control$/.exec(file)?.[1];
    if (name !== undefined) symlinkSync(file, join(folder, `${name}.control`));
  }
};

const findLibraryDirectory = (root: string): string => {
  const name = readdirSync(join(root, 'usr/lib')).find((entry) => entry.endsWith('-linux-gnu'));
  if (name === undefined) throw new Error(`${root} holds no libraries`);
  return join(root, 'usr/lib', name);
};

/** Unpacks packages of a suite of Debian with all libraries they need into `directory`, which must exist. Gives the root of what was unpacked. */
export const unpackFromSuite = (directory: string, suite: string, names: readonly string[]): string => {
  const apt = join(directory, 'apt');
  const root = join(directory, 'root');
  const env = makeAptRoot(apt, suite);
  run('apt-get', ['update', '-qq'], { env });
  const downloads = join(apt, 'downloads');
  mkdirSync(downloads);
  run('apt-get', ['download', '-qq', ...closeOverLibraries(names, env)], { env, cwd: downloads });
  for (const file of readdirSync(downloads)) run('dpkg-deb', ['-x', join(downloads, file), root]);
  rmSync(apt, { recursive: true, force: true });
  return root;
};

/** Of an unpacked root. */
export const findLoader = (root: string): { readonly loader: string; readonly libraries: string } => {
  const libraries = findLibraryDirectory(root);
  const loader = [libraries, join(root, 'usr/lib64'), join(root, 'usr/lib'), join(root, 'lib64')]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => /^ld-linux/.test(name))
        .map((name) => join(folder, name)),
    )
    .at(0);
  if (loader === undefined) throw new Error(`${root} holds no dynamic loader`);
  return { loader, libraries };
};

/**
 * Unpacks server, client tools and `extensions` (packages) of another suite of Debian into `directory`, with the libraries of that suite, and makes the programs use them. They run where they
 * stand and cannot be moved. Gives the directory of the programs. Needs no rights; takes about 5 s and 40 MB of downloads, with PostGIS 35 s and 100 MB.
 */
export const installFromSuite = (directory: string, suite: string, version: number, extensions: readonly string[] = []): string => {
  const root = unpackFromSuite(directory, suite, [
    `postgresql-${version}`,
    `postgresql-client-${version}`,
    ...extensions,
    'patchelf',
    'tzdata',
  ]);
  linkControlFiles(join(root, `usr/share/postgresql/${version}/extension`));

  const { loader, libraries } = findLoader(root);
  // The system's own patchelf may be missing; this one is run by its own loader until it is patched itself.
  const patchelf = ['--library-path', libraries, join(root, 'usr/bin/patchelf')];
  // Some of what PostGIS needs stands elsewhere.
  const searched = [libraries, join(libraries, 'blas'), join(libraries, 'lapack'), join(root, 'usr/lib')].join(':');
  const programs = join(root, `usr/lib/postgresql/${version}/bin`);
  for (const name of readdirSync(programs)) {
    run(loader, [...patchelf, '--set-interpreter', loader, '--force-rpath', '--set-rpath', searched, join(programs, name)]);
  }
  rmSync(join(root, `usr/lib/postgresql/${version}/lib/llvmjit.so`), { force: true });
  return programs;
};
