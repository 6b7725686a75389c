import type { BackupSummary, ListReport } from '../commands/options.js';
import { formatBytes, formatCount } from '../core/units.js';
import { type Column, formatTable, toPrintable } from './text.js';

/** A table with a line for each backup. */
export const formatList = (report: ListReport, isUnfinished: boolean): string => {
  const { backups } = report;
  if (backups.length === 0) return `${isUnfinished ? 'no unfinished runs' : 'no backups'} in ${toPrintable(report.repository)}\n`;
  const columns: readonly Column[] = [
    { title: 'ID' },
    { title: 'DATABASE' },
    { title: isUnfinished ? 'STARTED' : 'FINISHED' },
    { title: 'RAW', isNumber: true },
    { title: 'STORED', isNumber: true },
    { title: 'RELATIONS', isNumber: true },
    { title: isUnfinished ? 'STATE' : 'CONSISTENCY' },
  ];
  return `${formatTable(
    columns,
    backups.map((backup) => toCells(backup, isUnfinished)),
  )}\n`;
};

const toCells = (backup: BackupSummary, isUnfinished: boolean): readonly string[] => [
  backup.id,
  toPrintable(backup.database ?? '-'),
  toSeconds(isUnfinished ? backup.startedAt : backup.finishedAt),
  backup.rawBytes === null ? '-' : formatBytes(backup.rawBytes),
  backup.storedBytes === null ? '-' : formatBytes(backup.storedBytes),
  backup.relationCount === null ? '-' : formatCount(backup.relationCount),
  toPrintable(
    `${backup.isRunning ? 'running' : (backup.consistency ?? describeUnfinished(backup))}${backup.isPartial === true ? ', a part' : ''}`,
  ),
];

/** `2026-11-04T10:11:12Z`: without milliseconds, in UTC as everything in a repository. */
const toSeconds = (instant: string | null): string => (instant === null ? '-' : toPrintable(instant.replace(/\.\d+Z$/, 'Z')));

const describeUnfinished = ({ state, resumable }: BackupSummary): string =>
  state === 'unfinished' && (resumable === 'exact' || resumable === 'mixed') ? `${state}, resumable (${resumable})` : state;
