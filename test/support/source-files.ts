import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';
import { rootDir } from './cli.js';

/** What one file of the project leans on. Paths are relative to the root of the checkout. */
export interface SourceFile {
  readonly path: string;
  /** Imported or included files of the project, by path; anything else by its name (`node:fs`, `pino`, `libpq-fe.h`). */
  readonly imports: readonly string[];
  /** Names and calls outside comments and strings that tell I/O, clocks and randomness: `process`, `console`, `Date.now`, `new Date()` …; empty for C++. */
  readonly globals: readonly string[];
}

const listPaths = (folder: string, suffixes: readonly string[]): readonly string[] =>
  readdirSync(join(rootDir, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => suffixes.some((suffix) => name.endsWith(suffix)))
    .map((name) => posix.join(folder, name))
    .sort();

const toProjectPath = (importer: string, specifier: string): string =>
  specifier.startsWith('.') ? posix.join(posix.dirname(importer), specifier).replace(/\.js$/, '.ts') : specifier;

const watched = new Set(['process', 'console', 'performance', 'globalThis', 'setTimeout', 'setInterval', 'fetch']);

/** Name of a use that purity forbids, or undefined. */
const findGlobal = (node: ts.Node): string | undefined => {
  if (ts.isIdentifier(node) && watched.has(node.text)) {
    const { parent } = node;
    const isMember =
      (ts.isPropertyAccessExpression(parent) && parent.name === node) || ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent);
    return isMember ? undefined : node.text;
  }
  if (ts.isPropertyAccessExpression(node) && ['Date.now', 'Math.random'].includes(node.getText())) return node.getText();
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date' && (node.arguments?.length ?? 0) === 0) return 'new Date()';
  return undefined;
};

const readTypeScript = (path: string): SourceFile => {
  const text = readFileSync(join(rootDir, path), 'utf8');
  const globals = new Set<string>();
  const visit = (node: ts.Node): void => {
    const name = findGlobal(node);
    if (name !== undefined) globals.add(name);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true));
  const imports = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => toProjectPath(path, fileName));
  return { path, imports, globals: [...globals] };
};

const readCxx = (path: string): SourceFile => {
  const text = readFileSync(join(rootDir, path), 'utf8');
  // Includes in quotes are relative to native/, those in angle brackets are the system's.
  const imports = [...text.matchAll(/^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)/gm)].map(([, own, system]) =>
    own === undefined ? (system ?? '') : posix.join('native', own),
  );
  return { path, imports, globals: [] };
};

/** All TypeScript files below a folder. */
export const readTypeScriptFiles = (folder: string): readonly SourceFile[] => listPaths(folder, ['.ts']).map(readTypeScript);

/** All C++ files below a folder. */
export const readCxxFiles = (folder: string): readonly SourceFile[] => listPaths(folder, ['.h', '.cc']).map(readCxx);

/** One cycle of imports, as the paths along it, or undefined. */
export const findCycle = (files: readonly SourceFile[]): readonly string[] | undefined => {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): readonly string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    const file = byPath.get(path);
    if (file === undefined || done.has(path)) return undefined;
    for (const imported of file.imports) {
      const cycle = visit(imported, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const file of files) {
    const cycle = visit(file.path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
};
