import type { RestoreListReport } from '../commands/options.js';
import { formatBytes, formatCount, formatPlural } from '../core/units.js';
import { formatSummary } from './render-report.js';
import type { Style } from './style.js';
import { type Column, formatTable, toPrintable } from './text.js';

const columns: readonly Column[] = [{ title: 'RELATION' }, { title: 'ROWS', isNumber: true }, { title: 'RAW', isNumber: true }];

/** What a restore would do, for people: sums, every relation with rows, every entry of definitions, and what is left out. */
export const formatRestoreList = (report: RestoreListReport, style: Style): string => {
  const { relations, preData, postData, warnings } = report;
  const summary = formatSummary(
    style.bold(`would be restored from ${toPrintable(report.id)}`),
    [
      ['rows', formatCount(report.rowCount), formatPlural(relations.length, 'relation')],
      ['raw', formatBytes(report.rawBytes)],
      ['sequences', formatCount(report.sequenceCount)],
      ['materialized views', formatCount(report.materializedViewCount)],
      ['large objects', report.hasLargeObjects ? 'yes' : 'none'],
      ['pre-data', formatPlural(preData.length, 'entry', 'entries')],
      ['post-data', formatPlural(postData.length, 'entry', 'entries')],
    ],
    style,
  );
  const rows = relations.map(({ schema, name, rowCount, rawBytes }) => [
    toPrintable(`${schema}.${name}`),
    formatCount(rowCount),
    formatBytes(rawBytes),
  ]);
  const entries = (title: string, lines: readonly string[]): string =>
    lines.length === 0 ? '' : `\n${style.bold(title)}\n${lines.map((line) => `${toPrintable(line)}\n`).join('')}`;
  const table = rows.length === 0 ? 'no relations with rows\n' : `${formatTable(columns, rows)}\n`;
  return `${summary}\n${table}${entries('pre-data', preData)}${entries('post-data', postData)}${entries('left out', warnings)}`;
};
