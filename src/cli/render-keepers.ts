import type { KeeperListReport, KeeperStopReport, KeeperSummary } from '../commands/options.js';
import { formatCount, formatDuration } from '../core/units.js';
import { type Column, formatTable, toPrintable } from './text.js';

const columns: readonly Column[] = [
  { title: 'ID' },
  { title: 'DATABASE' },
  { title: 'STARTED' },
  { title: 'PID', isNumber: true },
  { title: 'SERVER PID', isNumber: true },
  { title: 'XMIN AGE', isNumber: true },
  { title: 'STATE' },
];

/** A table with a line for each keeper. */
export const formatKeepers = ({ keepers }: KeeperListReport): string =>
  keepers.length === 0 ? 'no keepers\n' : `${formatTable(columns, keepers.map(toCells))}\n`;

/** One line for each keeper that was stopped. */
export const formatStoppedKeepers = ({ stopped }: KeeperStopReport): string =>
  stopped.length === 0
    ? 'no keepers\n'
    : stopped.map(({ id, database, pid }) => `stopped the keeper of ${id} (${toPrintable(database)}, process ${pid})\n`).join('');

const toCells = (keeper: KeeperSummary): readonly string[] => [
  keeper.id,
  toPrintable(keeper.database),
  keeper.startedAt.replace(/\.\d+Z$/, 'Z'),
  String(keeper.pid),
  String(keeper.backendPid),
  keeper.xminAge === null ? '-' : formatCount(keeper.xminAge),
  toState(keeper),
];

const toState = ({ attachedPid, endsInMs }: KeeperSummary): string =>
  attachedPid === null ? `waiting, ends in ${formatDuration(endsInMs ?? 0)}` : `serving process ${attachedPid}`;
