/** Numbers and tables for people. */

export const formatSeconds = (seconds: number): string => `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;

/** Decimal megabytes, the unit of disks and networks. */
export const formatMegabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`;

export const formatRate = (bytes: number, seconds: number): string => (bytes / 1e6 / seconds).toFixed(0);

export const formatRatio = (ratio: number): string => `${ratio.toFixed(2)}×`;

/** Columns two spaces apart, the first `leftCount` aligned left and the others right. `null` is a rule. */
export const formatTable = (rows: readonly (readonly string[] | null)[], leftCount: number): string => {
  const widths: number[] = [];
  for (const row of rows) for (const [column, cell] of (row ?? []).entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  const pad = (cell: string, column: number): string =>
    column < leftCount ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)));
  return rows.map((row) => (row === null ? rule : row.map(pad).join('  ').trimEnd())).join('\n');
};
