import { constants } from 'node:fs';
import { access, readdir, realpath } from 'node:fs/promises';
import { basename, delimiter, dirname, isAbsolute, join } from 'node:path';
import { DbbackupError } from '../core/errors.js';
import { runTool, type ToolOptions } from './run-tool.js';
import type { Tool, ToolName } from './tool.js';

export interface FindToolsOptions extends ToolOptions {
  /** The only directory to look into. Default: those of `PATH`, then the ones where packages install each major version. */
  readonly binDir?: string | undefined;
  /** Those that are needed. */
  readonly names: readonly ToolName[];
}

/** Debian's and the PostgreSQL project's RPM packages. */
const packageDirectories: readonly (readonly [parent: string, pattern: RegExp])[] = [
  ['/usr/lib/postgresql', /^\d+$/],
  ['/usr', /^pgsql-\d+$/],
];

/** Client tools that are installed, each with its version; the same program reached by two ways is listed once. Cost: one short process for each. */
export const findTools = async (options: FindToolsOptions): Promise<readonly Tool[]> => {
  const paths = new Map<string, { readonly name: ToolName; readonly path: string }>();
  const directories = options.binDir === undefined ? [...searchPath(options), ...(await listPackageDirectories())] : [options.binDir];
  for (const directory of directories) {
    for (const name of options.names) {
      const path = join(directory, name);
      const program = await resolveProgram(path, options.binDir !== undefined);
      if (program !== null && !paths.has(program)) paths.set(program, { name, path });
    }
  }
  const tools = await Promise.all([...paths.values()].map(({ name, path }) => readVersion(name, path, options)));
  return tools.filter((tool) => tool !== null);
};

/**
 * The tool of the wanted major version, else of the nearest newer one; the first found of equals.
 * Errors: `tools_missing` when there is none at all, `tools_too_old` when there are only older ones; both name the Debian package to install.
 */
export const chooseTool = (tools: readonly Tool[], name: ToolName, wantedMajor: number): Tool => {
  const named = tools.filter((tool) => tool.name === name);
  const suitable = named.filter(({ major }) => major >= wantedMajor).sort((a, b) => a.major - b.major)[0];
  if (suitable !== undefined) return suitable;
  const hint = `Install the package postgresql-client-${wantedMajor} (Debian, Ubuntu) or newer, or name the directory of ${name} with --pg-bin-dir.`;
  if (named.length === 0) throw new DbbackupError('tools_missing', `${name} was not found`, { details: { object: name, hint } });
  const newest = named.reduce((best, tool) => (tool.major > best.major ? tool : best));
  throw new DbbackupError('tools_too_old', `${newest.path} is version ${newest.version}, but version ${wantedMajor} is needed`, {
    details: { object: name, path: newest.path, hint },
  });
};

/** The tool that was installed together with another one: in its directory, else of its version; null when there is none. */
export const findCompanion = (tools: readonly Tool[], tool: Tool, name: ToolName): Tool | null =>
  tools.find((other) => other.name === name && dirname(other.path) === dirname(tool.path)) ??
  tools.find((other) => other.name === name && other.version === tool.version) ??
  null;

/** `15` of `150018`. */
export const toMajor = (serverVersion: number): number => Math.floor(serverVersion / 10000);

const searchPath = ({ host }: FindToolsOptions): readonly string[] =>
  (host.environment['PATH'] ?? '').split(delimiter).filter((directory) => isAbsolute(directory));

const listPackageDirectories = async (): Promise<readonly string[]> => {
  const directories: string[] = [];
  for (const [parent, pattern] of packageDirectories) {
    for (const entry of await readNames(parent)) {
      if (pattern.test(entry)) directories.push(join(parent, entry, 'bin'));
    }
  }
  return directories;
};

const readNames = async (directory: string): Promise<readonly string[]> => {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw new DbbackupError('io_error', `${directory} could not be read`, { cause: error, details: { path: directory } });
  }
};

/** The program behind a path, or null. Debian's pg_wrapper chooses another version at every call: the versions it chooses from are found themselves. */
const resolveProgram = async (path: string, isExplicit: boolean): Promise<string | null> => {
  try {
    await access(path, constants.X_OK);
    const resolved = await realpath(path);
    if (basename(resolved) !== 'pg_wrapper') return resolved;
    // Three names are one wrapper.
    return isExplicit ? path : null;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw new DbbackupError('io_error', `${path} could not be examined`, { cause: error, details: { path } });
  }
};

const isAbsent = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP'].includes(String(error.code));

/** Null for a program of that name that is not PostgreSQL's or does not start. */
const readVersion = async (name: ToolName, path: string, options: ToolOptions): Promise<Tool | null> => {
  try {
    const { stdout } = await runTool(
      { tool: { name, path, major: 0, version: '' }, args: ['--version'], connection: null, object: path },
      options,
    );
    return parseVersion(name, path, stdout);
  } catch (error) {
    if (error instanceof DbbackupError && error.code !== 'cancelled') return null;
    throw error;
  }
};

/** Reads `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; null when it says anything else. */
export const parseVersion = (name: ToolName, path: string, text: string): Tool | null => {
  const version = new RegExp(`^${name} \\(PostgreSQL\\) (\\d+\\S*)`).exec(text)?.[1];
  return version === undefined ? null : { name, path, version, major: Number.parseInt(version, 10) };
};
