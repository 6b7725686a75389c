/** The parts of the help that commander does not write. docs/cli.md tells the same at length. */

/** What each exit status means, worded for all commands; a command's help lists those it can end with. */
export const exitStatuses = {
  0: 'done',
  1: 'failed',
  2: 'an option or argument is wrong',
  3: 'done, with warnings',
  10: 'no such repository or backup',
  11: 'another process works on this backup',
  20: 'damage found, or restored rows differ',
  129: 'cancelled by SIGHUP (the terminal is gone)',
  130: 'cancelled by SIGINT (Ctrl-C)',
  143: 'cancelled by SIGTERM',
} as const;

export type ExitStatus = keyof typeof exitStatuses;

const indent = (lines: readonly string[]): string => lines.map((line) => `  ${line}`).join('\n');

/** The text below a command's options. */
export const formatHelpTail = (examples: readonly string[], statuses: readonly ExitStatus[]): string =>
  `\nExamples:\n${indent(examples)}\n\nExit status:\n${indent(statuses.map((status) => `${String(status).padStart(3)}  ${exitStatuses[status]}`))}`;

export const rootHelpTail = `
Examples:
  dbbackup backup single shop
  dbbackup list
  dbbackup verify ID
  dbbackup restore single ID --target-db shop_copy --create
  dbbackup backup cluster -h db.example.com
  dbbackup restore cluster ID -h new.example.com

The backups stand in ./backups, or where --output-dir or DBBACKUP_OUTPUT_DIR says. Sizes are 1024-based,
as in PostgreSQL: 1GB is 1024 MB. dbbackup COMMAND --help tells each command's options and exit statuses.`;
