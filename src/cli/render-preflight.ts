import type { EstimateReport, RelationEstimate } from '../commands/estimate.js';
import type { PreflightReport } from '../commands/preflight.js';
import type { Estimate } from '../core/estimates.js';
import type { Finding } from '../core/findings.js';
import { formatBytes, formatCount, formatDuration, formatPlural } from '../core/units.js';
import { formatSummary } from './render-report.js';
import type { Style } from './style.js';
import { type Column, formatTable, toPrintable } from './text.js';

const formatFinding = ({ check, status, database, measured, remedy }: Finding, width: number, style: Style): string => {
  const paint = { ok: style.green, warn: style.yellow, fail: style.red }[status];
  const place = database === undefined ? '' : `${database}: `;
  const line = `${paint(status.padEnd(4))}  ${check.padEnd(width)}  ${toPrintable(place + measured)}`;
  return remedy === null ? line : `${line}\n${' '.repeat(width + 8)}→ ${toPrintable(remedy)}`;
};

/** The findings, one by one; `isBrief`: those alone that are not as they should be. */
export const formatPreflight = (report: PreflightReport, isBrief: boolean, style: Style): string => {
  const shown = report.findings.filter(({ status }) => !isBrief || status !== 'ok');
  const width = Math.max(0, ...shown.map(({ check }) => check.length));
  const lines = shown.map((finding) => `${formatFinding(finding, width, style)}\n`).join('');
  if (isBrief) return lines;
  const count = (status: Finding['status']): number => report.findings.filter((finding) => finding.status === status).length;
  const words = [`${count('ok')} ok`, formatPlural(count('warn'), 'warning'), formatPlural(count('fail'), 'failure')];
  return `${lines}\n${words.join(', ')}, in ${formatDuration(report.elapsedMs)}\n`;
};

/** More lines than a screen holds help nobody; --json has them all. */
const maxRelationsShown = 20;

const columns: readonly Column[] = [
  { title: 'RELATION' },
  { title: 'RAW', isNumber: true },
  { title: '±', isNumber: true },
  { title: 'STORED', isNumber: true },
  { title: '±', isNumber: true },
  { title: 'TIME', isNumber: true },
  { title: 'BY' },
];

const formatError = ({ value, error }: Estimate): string => (value === 0 ? '' : `${formatCount((error / value) * 100)} %`);

type Line = Omit<RelationEstimate, 'schema' | 'name'> & { readonly title: string };

const toRow = ({ title, rawBytes, storedBytes, elapsedMs, basis }: Line): readonly string[] => [
  toPrintable(title),
  formatBytes(rawBytes.value),
  formatError(rawBytes),
  formatBytes(storedBytes.value),
  formatError(storedBytes),
  formatDuration(elapsedMs.value),
  basis === 'whole' ? 'all rows' : basis,
];

export const formatEstimateReport = (report: EstimateReport, style: Style): string => {
  const { rawBytes, storedBytes, elapsedMs, largeObjects, relations } = report;
  const lines = [
    ...(largeObjects === null ? [] : [{ title: 'large objects', ...largeObjects }]),
    ...relations.slice(0, maxRelationsShown).map((relation) => ({ title: `${relation.schema}.${relation.name}`, ...relation })),
  ];
  const hidden = relations.length - Math.min(relations.length, maxRelationsShown);
  const summary = formatSummary(
    style.bold(`a backup of ${toPrintable(report.database)} is estimated`),
    [
      ['raw', formatBytes(rawBytes.value), `± ${formatBytes(rawBytes.error)}`],
      ['stored', formatBytes(storedBytes.value), `± ${formatBytes(storedBytes.error)}, ${report.compression}`],
      ['time', formatDuration(elapsedMs.value), `± ${formatDuration(elapsedMs.error)}, with ${formatPlural(report.jobs, 'job')}`],
      ['sampled', formatBytes(report.sampledBytes), `in ${formatDuration(report.samplingMs)}`],
    ],
    style,
  );
  if (lines.length === 0) return summary;
  const rest = hidden > 0 ? `and ${formatPlural(hidden, 'smaller relation')}; --json lists all\n` : '';
  return `${summary}\n${formatTable(columns, lines.map(toRow))}\n${rest}`;
};
