import type { BackupReport, ClusterRestoreReport, DeleteReport, RestoreReport, VerifyReport } from '../commands/options.js';
import { formatBytes, formatCount, formatDuration, formatPlural, formatRate } from '../core/units.js';
import type { Style } from './style.js';
import { countCells, toPrintable } from './text.js';

type Row = readonly [label: string, value: string, note?: string];

/** A headline, then labels, values and notes in columns. */
export const formatSummary = (headline: string, rows: readonly Row[], style: Style): string => {
  const labelWidth = Math.max(...rows.map(([label]) => label.length));
  // Only values that have a note beside them need a common width.
  const valueWidth = Math.max(0, ...rows.filter(([, , note]) => note !== undefined).map(([, value]) => countCells(value)));
  const lines = rows.map(([label, value, note]) => {
    const head = `  ${style.dim(label.padEnd(labelWidth))}  ${toPrintable(value)}`;
    return note === undefined ? head : `${head}${' '.repeat(Math.max(0, valueWidth - countCells(value)))}  ${style.dim(toPrintable(note))}`;
  });
  return `\n${headline}\n\n${lines.join('\n')}\n`;
};

const ratio = (rawBytes: number, storedBytes: number): string =>
  storedBytes === 0 ? 'nothing stored' : `${(rawBytes / storedBytes).toFixed(1)} : 1`;

/** How far the estimate by the tables' sizes was off. */
const compareEstimate = ({ rawBytes, estimatedRawBytes }: Pick<BackupReport, 'rawBytes' | 'estimatedRawBytes'>): string => {
  const percent = rawBytes === 0 ? 0 : Math.round((estimatedRawBytes / rawBytes - 1) * 100);
  return percent === 0 ? 'of raw' : `of raw, ${formatCount(Math.abs(percent))} % too ${percent > 0 ? 'much' : 'little'}`;
};

const warningRow = (warnings: readonly string[]): readonly Row[] =>
  warnings.length === 0 ? [] : [['warnings', formatCount(warnings.length), 'see above']];

export const formatBackupReport = (report: BackupReport, style: Style): string =>
  formatSummary(
    style.bold(style.green(`backup ${toPrintable(report.id)} done in ${formatDuration(report.elapsedMs)}`)),
    [
      ['raw', formatBytes(report.rawBytes), formatRate(report.bytesPerSecond)],
      ['estimate', formatBytes(report.estimatedRawBytes), compareEstimate(report)],
      ['stored', formatBytes(report.storedBytes), ratio(report.rawBytes, report.storedBytes)],
      [
        'rows',
        formatCount(report.rowCount),
        `${formatPlural(report.relationCount, 'relation')}, ${formatPlural(report.fileCount, 'file')}`,
      ],
      ...formatSnapshots(report),
      ...formatConsistency(report),
      ['memory', formatBytes(report.peakRssBytes), 'at its peak'],
      ...(report.verified === undefined ? [] : [verifiedRow(report.verified)]),
      ...warningRow(report.warnings),
      ['manifest', report.manifestPath],
    ],
    style,
  );

/** What an interruption has left of before. */
const formatConsistency = ({ consistency, resumed }: BackupReport): readonly Row[] => {
  if (resumed === undefined) return [];
  const kept = `${formatBytes(resumed.keptRawBytes)} in ${formatPlural(resumed.keptTaskCount, 'task')} were there before`;
  return [['consistency', consistency, kept]];
};

/** How far the snapshots of several databases lie apart. */
const formatSnapshots = ({ databaseCount, snapshots }: BackupReport): readonly Row[] =>
  databaseCount === 1 ? [] : [['databases', formatCount(databaseCount), describeSpread(snapshots)]];

/** `snapshots within 12 ms`, `snapshots in 3 waves within 41 s`. */
export const describeSpread = ({ earliestAt, latestAt, waveCount }: BackupReport['snapshots']): string => {
  const waves = waveCount === 1 ? '' : ` in ${formatPlural(waveCount, 'wave')}`;
  return `snapshots${waves} within ${formatDuration(Date.parse(latestAt) - Date.parse(earliestAt))}`;
};

const verifiedRow = (report: VerifyReport): Row => [
  'verified',
  report.damage.length === 0 ? 'sound' : 'damaged',
  `${formatPlural(report.fileCount, 'file')} in ${formatDuration(report.elapsedMs)}`,
];

const partRow = (partOf: RestoreReport['partOf']): readonly Row[] => {
  if (partOf === null) return [];
  return [
    [
      'only part',
      partOf === 'backup' ? 'what was chosen of the backup' : 'all of a backup of a part of a database; dbbackup show tells which',
    ],
  ];
};

export const formatRestoreReport = (report: RestoreReport, style: Style): string =>
  formatSummary(
    style.bold(
      style.green(`backup ${toPrintable(report.id)} restored into ${toPrintable(report.database)} in ${formatDuration(report.elapsedMs)}`),
    ),
    [
      ['raw', formatBytes(report.rawBytes), formatRate(report.bytesPerSecond)],
      ['rows', formatCount(report.rowCount), formatPlural(report.relationCount, 'relation')],
      ...partRow(report.partOf),
      ['memory', formatBytes(report.peakRssBytes), 'at its peak'],
      ...(report.checkedRelationCount === undefined
        ? []
        : [['checked', formatPlural(report.checkedRelationCount, 'relation'), 'equal to the backup'] satisfies Row]),
      ...warningRow(report.warnings),
    ],
    style,
  );

export const formatClusterRestoreReport = (report: ClusterRestoreReport, style: Style): string =>
  formatSummary(
    style.bold(style.green(`backup ${toPrintable(report.id)} restored in ${formatDuration(report.elapsedMs)}`)),
    [
      ['databases', formatCount(report.databases.length), report.databases.join(', ')],
      ['raw', formatBytes(report.rawBytes), formatRate(report.bytesPerSecond)],
      ['rows', formatCount(report.rowCount), formatPlural(report.relationCount, 'relation')],
      ['memory', formatBytes(report.peakRssBytes), 'at its peak'],
      ...(report.checkedRelationCount === undefined
        ? []
        : [['checked', formatPlural(report.checkedRelationCount, 'relation'), 'equal to the backup'] satisfies Row]),
      ...report.notices.map((notice) => ['notice', notice] satisfies Row),
      ...warningRow(report.warnings),
    ],
    style,
  );

export const formatVerifyReport = (report: VerifyReport, style: Style): string => {
  const { damage } = report;
  const headline =
    damage.length === 0
      ? style.bold(style.green(`backup ${toPrintable(report.id)} is sound`))
      : style.bold(style.red(`backup ${toPrintable(report.id)} is damaged: ${formatPlural(damage.length, 'finding')}`));
  const relations = new Set(damage.map(({ relation }) => relation).filter((relation) => relation !== ''));
  return formatSummary(
    headline,
    [
      ['raw', formatBytes(report.rawBytes), formatRate(report.bytesPerSecond)],
      [
        'rows',
        formatCount(report.rowCount),
        `${formatPlural(report.relationCount, 'relation')}, ${formatPlural(report.fileCount, 'file')}`,
      ],
      ['time', formatDuration(report.elapsedMs)],
      ...(damage.length === 0
        ? []
        : [
            ['files', [...new Set(damage.map(({ path }) => path))].join(', ')] satisfies Row,
            ['tables', relations.size === 0 ? 'none' : [...relations].join(', ')] satisfies Row,
          ]),
    ],
    style,
  );
};

export const formatDeleteReport = (report: DeleteReport): string =>
  `${report.wasFinished ? 'backup' : 'unfinished run'} ${toPrintable(report.id)} deleted from ${toPrintable(report.repository)}\n`;
