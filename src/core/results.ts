/** Plain data that native tasks return and Events, Journal and Manifest carry. Digests and checksums are lower-case hex. */

/** COPY’s FORMAT. */
export type RowFormat = 'binary' | 'text';
export type CodecName = 'zstd' | 'lz4' | 'gzip' | 'none';
export type ChecksumName = 'xxh3-128' | 'sha256';

export interface FileResult {
  /** Relative to the sink's directory. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly checksum: string;
}

export interface SegmentResult {
  /** Index into the task's `sources`, and into `files` (-1 without a sink). */
  readonly source: number;
  readonly file: number;
  readonly offset: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly rowCount: number;
  readonly digest: string;
}

export interface Finding {
  /** `missing`, `size`, `checksum`, `frame`, `rows` or `digest`. */
  readonly kind: string;
  /** The segment's `name`, or an empty string where the damage lies outside every segment. */
  readonly segment: string;
  /** Index of the frame within the file, or -1 when it is not known; and the byte offset, or -1. */
  readonly frame: number;
  readonly offset: number;
  readonly message: string;
}

export interface TaskResult {
  readonly taskId: number;
  readonly files: readonly FileResult[];
  readonly segments: readonly SegmentResult[];
  readonly findings: readonly Finding[];
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly rowCount: number;
  readonly elapsedMs: number;
}
