import { isUtf8 } from 'node:buffer';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { runTool, type ToolOptions } from './run-tool.js';
import { checkClientEncoding, checkStatement, scriptPatterns, splitScript, standardStrings } from './sql-script.js';
import type { Tool } from './tool.js';

export interface DatabaseScriptOptions extends ToolOptions {
  readonly pgRestore: Tool;
  /** Absolute path of the schema archive. */
  readonly archivePath: string;
  /** Absolute path for temporary files in a private directory: they get this name and an extension. */
  readonly scratchPath: string;
  /** The name of the database, for errors. */
  readonly object: string;
}

/** pg_restore's statements for a database as a whole: what lives in the server's shared catalogs, so that they can be run in any database. Bytes (`latin1`). */
export interface DatabaseScript {
  /** `CREATE DATABASE`. */
  readonly creation: readonly string[];
  /** Owner, comment, settings, privileges, security labels, connection limit. */
  readonly properties: readonly string[];
  readonly settings: readonly string[];
}

/** Entries of an archive that are about the database itself. */
const databaseEntry = /^\d+; \d+ \d+ (?:DATABASE|DATABASE PROPERTIES|(?:ACL|COMMENT|SECURITY LABEL) - DATABASE) /;

/** The statements that pg_restore has for the database of an archive. Errors: `tool_failed`, `cancelled`. */
export const readDatabaseScript = async (options: DatabaseScriptOptions): Promise<DatabaseScript> => {
  const { pgRestore, archivePath, object } = options;
  const listPath = `${options.scratchPath}.list`;
  const scriptPath = `${options.scratchPath}.sql`;
  const run = (args: readonly string[]) => runTool({ tool: pgRestore, args: [...args, archivePath], connection: null, object }, options);
  const { stdout } = await run(['--create', '--list']);
  const own = stdout.split('\n').filter((line) => databaseEntry.test(line));
  try {
    await writeFile(listPath, own.map((line) => `${line}\n`).join(''), { mode: 0o600 });
    // Not by its standard output: the script's bytes may be of any encoding.
    await run(['--create', `--use-list=${listPath}`, `--file=${scriptPath}`]);
    return sortDatabaseScript(await readFile(scriptPath));
  } finally {
    await Promise.all([listPath, scriptPath].map((path) => rm(path, { force: true })));
  }
};

const settingForm = /^(?:SET \w+ = |SELECT pg_catalog\.set_config\()/;

/**
 * Sorts the script of `pg_restore --create`. Commands and settings are left out, but for the client encoding. What is shared by all databases has the encoding of the
 * database it was made in, and comes out of any other one as it is: so what is UTF-8 is taken for it, whatever the archive's encoding. Pure.
 */
export const sortDatabaseScript = (script: Buffer): DatabaseScript => {
  const statements = splitScript(script.toString('latin1')).filter(({ isCommand }) => !isCommand);
  const texts = statements.map(({ text }) => text);
  const encoding = isUtf8(script) ? "SET client_encoding = 'UTF8';" : texts.find((text) => text.startsWith('SET client_encoding = '));
  if (encoding !== undefined) checkClientEncoding(encoding);
  const others = texts.filter((text) => !settingForm.test(text));
  others.forEach(checkStatement);
  const isCreation = (text: string): boolean => text.startsWith('CREATE DATABASE ');
  return {
    settings: [...(encoding === undefined ? [] : [encoding]), standardStrings],
    creation: others.filter(isCreation),
    properties: others.filter((text) => !isCreation(text)),
  };
};

const { identifier, literal } = scriptPatterns;
const providerForm = new RegExp(
  `^(CREATE DATABASE (?:${identifier}) WITH TEMPLATE = template0(?: ENCODING = ${literal})?) LOCALE_PROVIDER = libc(?= |;)`,
);

/** `CREATE DATABASE` for a server of this major version: pg_dump names the one provider that servers before 15 have, also of their own databases. Pure. */
export const toCreationFor = (creation: readonly string[], targetMajor: number): readonly string[] =>
  targetMajor >= 15 ? creation : creation.map((sql) => sql.replace(providerForm, '$1'));
