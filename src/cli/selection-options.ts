import { type Command, Option } from 'commander';
import type { OwnershipOptions } from '../commands/options.js';
import { type SectionName, type SelectionOptions, sectionNames } from '../core/selection.js';
import { nonEmpty, toUsageError } from './option-values.js';

/** Options that choose a part of a database, of backup and restore alike. */
export interface SelectionFlags {
  readonly table?: readonly string[];
  readonly excludeTable?: readonly string[];
  readonly excludeTableData?: readonly string[];
  readonly schema?: readonly string[];
  readonly excludeSchema?: readonly string[];
  readonly schemaOnly?: true;
  readonly dataOnly?: true;
  readonly section?: readonly SectionName[];
}

/** A --no- option that stands alone is true unless given. */
export interface OwnershipFlags {
  readonly owner?: boolean;
  readonly privileges?: boolean;
  readonly role?: string;
}

const repeatable =
  (name: string) =>
  (text: string, earlier: readonly string[] = []): readonly string[] => [...earlier, nonEmpty(name)(text)];

const parseSection = (text: string, earlier: readonly SectionName[] = []): readonly SectionName[] => {
  const section = sectionNames.find((name) => name === text);
  if (section === undefined) throw toUsageError(`--section must be ${sectionNames.join(', ')}, not "${text}"`);
  return [...earlier, section];
};

/** `what`: `saved`, `restored`. */
export const addSelection = (command: Command, what: string): Command => {
  const pattern = (flags: string, text: string): Option =>
    new Option(`${flags} <PATTERN>`, text).argParser(repeatable(/--[a-z-]+/.exec(flags)?.[0] ?? flags));
  return command
    .optionsGroup('Selection (patterns as in psql and pg_dump; these options may be repeated):')
    .addOption(pattern('-t, --table', `only relations that match are ${what}, with their indexes, constraints, sequences and comments`))
    .addOption(pattern('-n, --schema', 'only what is in schemas that match'))
    .addOption(pattern('-T, --exclude-table', 'relations that match are left out'))
    .addOption(pattern('-N, --exclude-schema', 'schemas that match are left out'))
    .addOption(pattern('--exclude-table-data', 'rows of relations that match are left out'))
    .addOption(new Option('--schema-only', 'definitions, no rows').conflicts(['dataOnly', 'section']))
    .addOption(new Option('--data-only', 'rows, large objects and values of sequences, no definitions').conflicts(['section']))
    .addOption(new Option('--section <NAME>', 'pre-data, data or post-data').argParser(parseSection));
};

export const addOwnership = (command: Command): Command =>
  command
    .option('-O, --no-owner', 'leave owners out')
    .option('-x, --no-privileges', 'leave GRANT and REVOKE out')
    .addOption(new Option('--role <NAME>', 'become this role after connecting').argParser(nonEmpty('--role')));

export const toOwnership = (flags: OwnershipFlags): OwnershipOptions => ({
  ...(flags.owner === false && { isOwnerDropped: true }),
  ...(flags.privileges === false && { arePrivilegesDropped: true }),
});

/** Empty unless something was chosen. */
export const toSelectionOption = (flags: SelectionFlags): { readonly selection?: SelectionOptions } => {
  const selection: SelectionOptions = {
    ...(flags.table !== undefined && { tables: flags.table }),
    ...(flags.excludeTable !== undefined && { excludedTables: flags.excludeTable }),
    ...(flags.excludeTableData !== undefined && { excludedTableData: flags.excludeTableData }),
    ...(flags.schema !== undefined && { schemas: flags.schema }),
    ...(flags.excludeSchema !== undefined && { excludedSchemas: flags.excludeSchema }),
    ...(flags.schemaOnly === true && { isSchemaOnly: true }),
    ...(flags.dataOnly === true && { isDataOnly: true }),
    ...(flags.section !== undefined && { sections: flags.section }),
  };
  return Object.keys(selection).length === 0 ? {} : { selection };
};
