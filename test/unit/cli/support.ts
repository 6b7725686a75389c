import type { Commands } from '#src/cli/run.js';
import type { BackupReport, RestoreReport, VerifyReport } from '#src/commands/options.js';

/** A stream that keeps what was written. */
export interface RecordedStream {
  write(text: string): void;
  readonly isTTY: boolean;
  readonly columns: number;
  text(): string;
}

export const recordStream = (isTTY = false, columns = 80): RecordedStream => {
  let written = '';
  return {
    isTTY,
    columns,
    write: (text) => {
      written += text;
    },
    text: () => written,
  };
};

export const gibi = 1024 ** 3;

export const backupReport: BackupReport = {
  id: 'shop-20260102t030405z-k3f9',
  repository: '/srv/backups',
  manifestPath: '/srv/backups/shop-20260102t030405z-k3f9/manifest.json',
  rowCount: 12_345_678,
  rawBytes: 1.5 * gibi,
  storedBytes: 0.5 * gibi,
  elapsedMs: 12_300,
  bytesPerSecond: 128 * 1024 ** 2,
  estimatedRawBytes: 1.8 * gibi,
  peakRssBytes: 98 * 1024 ** 2,
  relationCount: 312,
  fileCount: 45,
  databaseCount: 1,
  snapshots: { earliestAt: '2026-01-02T03:04:05.100Z', latestAt: '2026-01-02T03:04:05.100Z', waveCount: 1 },
  consistency: 'exact',
  warnings: [],
};

export const verifyReport: VerifyReport = {
  id: backupReport.id,
  fileCount: 45,
  relationCount: 312,
  rowCount: 12_345_678,
  rawBytes: 1.5 * gibi,
  elapsedMs: 2000,
  bytesPerSecond: 768 * 1024 ** 2,
  damage: [],
};

export const restoreReport: RestoreReport = {
  id: backupReport.id,
  database: 'shop_copy',
  relationCount: 312,
  rowCount: 12_345_678,
  rawBytes: 1.5 * gibi,
  elapsedMs: 30_000,
  bytesPerSecond: 51 * 1024 ** 2,
  peakRssBytes: 98 * 1024 ** 2,
  partOf: null,
  warnings: [],
};

export const damage = {
  path: 'data/t000001-a1-p001.zst',
  relation: 'public.orders',
  frame: 3,
  offset: 4096,
  kind: 'frame',
  message: 'a frame cannot be decoded',
};

/** Commands of which a test scripts the one it needs: what is tested is how the CLI calls a command and tells its outcome. */
export const scriptCommands = (scripted: Partial<Commands>): Commands => {
  const unexpected = (): never => {
    throw new Error('this command was not to be called');
  };
  return {
    backup: unexpected,
    preflight: unexpected,
    preflightCluster: unexpected,
    preflightRestore: unexpected,
    estimate: unexpected,
    backupCluster: unexpected,
    resume: unexpected,
    restore: unexpected,
    listRestore: unexpected,
    restoreCluster: unexpected,
    verify: unexpected,
    list: unexpected,
    show: unexpected,
    listKeepers: unexpected,
    stopKeepers: unexpected,
    deleteBackup: unexpected,
    ...scripted,
  };
};
