import { statfs } from 'node:fs/promises';
import { DbbackupError } from '../core/errors.js';
import { formatBytes } from '../core/units.js';
import { type DiskUse, estimateMissingBytes, judgeDiskBySizes } from '../preflight/disk-findings.js';
import { readFreeBytes } from '../preflight/machine-facts.js';

const tickMs = 1000;
/** What is left for the end of the run, its journal, and what else is on that file system: so much, and of a small one a hundredth. */
const reserveBytes = 16 * 1024 ** 2;
const reserveShare = 0.01;

export interface DiskWatchParts {
  /** Of the repository. */
  readonly path: string;
  /** What the run has done so far. */
  readonly readUse: () => DiskUse;
}

/** Watches over the free space of a repository while a run writes there. */
export class DiskWatch {
  readonly #parts: DiskWatchParts;

  constructor(parts: DiskWatchParts) {
    this.#parts = parts;
  }

  /** What is to be told before `rawBytes` are read; null where there is plenty of room. Errors: `disk_full` where they cannot fit, however well they compress. */
  async checkBefore(rawBytes: number, isCompressing: boolean): Promise<string | null> {
    const { path } = this.#parts;
    const finding = judgeDiskBySizes(await readFreeBytes(path), rawBytes, isCompressing, path);
    if (finding?.status !== 'fail') return finding === null ? null : `${finding.measured}. ${finding.remedy ?? ''}`.trim();
    throw new DbbackupError('disk_full', finding.measured, { details: { path, hint: finding.remedy ?? '' } });
  }

  /** Ends the run while there is room to end it well; see `ExecutorListener.watch`. */
  watch(fail: (error: DbbackupError) => void): () => void {
    const { path, readUse } = this.#parts;
    let isOver = false;
    const look = async (): Promise<void> => {
      const { bavail, bsize, blocks } = await statfs(path);
      const freeBytes = bavail * bsize;
      if (isOver || freeBytes >= Math.min(reserveBytes, blocks * bsize * reserveShare)) return;
      const missingBytes = estimateMissingBytes(readUse());
      // What fits into the rest may be written.
      if (missingBytes === null || missingBytes < freeBytes) return;
      fail(new DbbackupError('disk_full', `${formatBytes(freeBytes)} are left in ${path}`, { details: { path } }));
    };
    let timer = setTimeout(function tick() {
      // Where the free space cannot be asked now, the error of writing will tell.
      void look()
        .catch(() => undefined)
        .then(() => {
          if (!isOver) timer = setTimeout(tick, tickMs);
        });
    }, tickMs);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }

  /** An error of a full disk with how much was missing; others as they are. */
  explain(error: DbbackupError): DbbackupError {
    if (error.code !== 'disk_full') return error;
    const use = this.#parts.readUse();
    // The disk is full: where no file shows how well the rows compress, their size is told rather than nothing. While there is room, that would end runs that fit.
    const missingBytes = estimateMissingBytes(use) ?? Math.max(0, use.estimatedRawBytes - use.rawBytes);
    const missing = use.rawBytes === 0 ? '' : `, about ${formatBytes(missingBytes)} more would be needed`;
    return new DbbackupError('disk_full', `${error.message}${missing}`, { cause: error, details: error.details });
  }
}
