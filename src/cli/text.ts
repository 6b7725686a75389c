/** Text for terminals: names from a database may hold anything, escape sequences included. */

/** `text` with control characters (C0, C1, DEL, line and paragraph separators, bidirectional overrides) written as `\xNN` or `\uNNNN`. */
export const toPrintable = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });

/** As toPrintable, but line ends stay and following lines are indented. */
export const toPrintableLines = (text: string, indent: string): string =>
  text.trimEnd().split(/\r?\n/).map(toPrintable).join(`\n${indent}`);

/** Cells a character takes at most: East Asian and emoji characters take two; the few others above U+1100 are counted too wide rather than too narrow. */
const cellsOf = (character: string): number => ((character.codePointAt(0) ?? 0) < 0x1100 ? 1 : 2);

export const countCells = (text: string): number => [...text].reduce((sum, character) => sum + cellsOf(character), 0);

/** `text` cut to at most `width` cells, the cut marked by an ellipsis. */
export const truncate = (text: string, width: number): string => {
  if (countCells(text) <= width) return text;
  let cut = '';
  let cells = 0;
  for (const character of text) {
    // The ellipsis itself, U+2026, is counted as two.
    if (cells + cellsOf(character) > width - 2) break;
    cut += character;
    cells += cellsOf(character);
  }
  return width < 2 ? '' : `${cut}…`;
};

export interface Column {
  readonly title: string;
  readonly isNumber?: boolean;
}

/** Rows under titles, columns aligned by spaces; numbers to the right. Cells must be printable. */
export const formatTable = (columns: readonly Column[], rows: readonly (readonly string[])[]): string => {
  const lines = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => countCells(line[index] ?? ''))));
  const pad = (cell: string, index: number): string => {
    const space = ' '.repeat(Math.max(0, (widths[index] ?? 0) - countCells(cell)));
    return columns[index]?.isNumber === true ? space + cell : cell + space;
  };
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
};
