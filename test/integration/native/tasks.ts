import type { CodecName, RowFormat, TaskResult } from '#src/core/results.js';
import {
  type CheckTask,
  type CopyInTask,
  type CopyOutTask,
  type Engine,
  type EngineOptions,
  type FileSinkSpec,
  openEngine,
  type SegmentSpec,
} from '#src/native/engine.js';
import type { ConnectionSpec } from '#src/native/session.js';

export const smallEngine: EngineOptions = { workerCount: 2, encoderCount: 2, blocksPerWorker: 8, maxBytesPerSecond: 0 };

/** Runs `fn` with an engine and closes it afterwards. */
export const withEngine = async <T>(fn: (engine: Engine) => Promise<T>, options: EngineOptions = smallEngine): Promise<T> => {
  const engine = openEngine(options);
  try {
    return await fn(engine);
  } finally {
    await engine.close();
  }
};

export const fileSink = (directory: string, changes: Partial<FileSinkSpec> = {}): FileSinkSpec => ({
  directory,
  stem: 't000001-a1',
  extension: '.zst',
  codec: 'zstd',
  level: 1,
  checksum: 'xxh3-128',
  maxStoredBytes: 1_000_000_000,
  isDirect: true,
  ...changes,
});

const formatClause = (format: RowFormat): string => (format === 'binary' ? '(FORMAT binary)' : '(FORMAT text)');

/** Reads the results of queries, each into a segment. */
export const copyOutTask = (
  connection: ConnectionSpec,
  queries: readonly string[],
  { format = 'binary', sink = null, taskId = 1 }: { format?: RowFormat; sink?: FileSinkSpec | null; taskId?: number } = {},
): CopyOutTask => ({
  kind: 'copyOut',
  taskId,
  session: { key: 'read', connection, setupSql: [], guardSql: null, guardExpected: null },
  sources: queries.map((query, index) => ({
    name: `source ${index + 1}`,
    lockSql: null,
    checkSql: null,
    checkExpected: null,
    copySql: `COPY (${query}) TO STDOUT ${formatClause(format)}`,
    format,
  })),
  sink,
});

/** Rows without end (about 1 kB each), made by the server as fast as they are read. */
export const endlessQuery = "SELECT repeat('x', 1000), generate_series(1, 2000000000)";

const segmentsOf = (result: TaskResult, file: number, format: RowFormat): readonly SegmentSpec[] =>
  result.segments
    .filter((segment) => segment.file === file)
    .map(({ source, offset, storedBytes, rawBytes, rowCount, digest }) => ({
      name: `source ${source + 1}`,
      offset,
      storedBytes,
      rawBytes,
      rowCount,
      digest,
      format,
    }));

/** Checks one of the files a copy out wrote. */
export const checkTask = (result: TaskResult, sink: FileSinkSpec, format: RowFormat, file = 0): CheckTask => ({
  kind: 'check',
  taskId: 2,
  path: `${sink.directory}/${result.files[file]?.path}`,
  sizeBytes: result.files[file]?.sizeBytes ?? -1,
  checksum: result.files[file]?.checksum ?? '',
  checksumName: sink.checksum,
  codec: sink.codec satisfies CodecName,
  segments: segmentsOf(result, file, format),
});

/** Loads everything a copy out wrote into one table. */
export const copyInTask = (
  connection: ConnectionSpec,
  result: TaskResult,
  sink: FileSinkSpec,
  table: string,
  format: RowFormat,
): CopyInTask => ({
  kind: 'copyIn',
  taskId: 3,
  session: { key: 'write', connection, setupSql: [], guardSql: null, guardExpected: null },
  segments: result.files.flatMap((file, index) =>
    segmentsOf(result, index, format).map((segment) => ({
      ...segment,
      path: `${sink.directory}/${file.path}`,
      codec: sink.codec,
      beginSql: ['BEGIN'],
      copySql: `COPY ${table} FROM STDIN ${formatClause(format)}`,
      endSql: ['COMMIT'],
    })),
  ),
});
