import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterFailure } from '../catalog/after-failure.js';
import { introspect } from '../catalog/introspect.js';
import type { Catalog, Relation } from '../catalog/model.js';
import { prelude } from '../catalog/prelude.js';
import { checkPrivileges } from '../catalog/privileges.js';
import { queryRow, toNumber, toText } from '../catalog/rows.js';
import { readScope, wholeScope } from '../catalog/scope.js';
import { systemClock } from '../core/context.js';
import { DbbackupError } from '../core/errors.js';
import { addEstimates, type Estimate, sumEstimates } from '../core/estimates.js';
import type { TaskResult } from '../core/results.js';
import type { CopyOutSource, Engine, SessionSpec } from '../native/engine.js';
import type { Session } from '../native/session.js';
import { planBackup } from '../planner/backup-plan.js';
import { planLargeObjects } from '../planner/large-objects.js';
import type { BackupPlan, LargeObjectChunk, RelationPlan } from '../planner/plan.js';
import {
  foldSample,
  guessBySize,
  planSample,
  type Ratios,
  type Sample,
  toCountSql,
  toSampleSql,
  unknownRatios,
} from '../preflight/samples.js';
import { dataExtension } from '../storage/layout.js';
import { withScratch } from './archives.js';
import { toConnectionSpec } from './connect.js';
import { createSources, toReadingSession } from './copy-sources.js';
import type { BackupOptions, RunContext } from './options.js';
import { toRoleSql, toSameServer, withSession } from './sessions.js';
import { toBackupSettings, withEngine } from './settings.js';

/** What is estimated of one relation. */
export interface RelationEstimate {
  readonly schema: string;
  readonly name: string;
  /** `whole`: all rows were read; `samples`: some were; `size`: none, it is judged by its size and by the others. */
  readonly basis: 'whole' | 'samples' | 'size';
  readonly rawBytes: Estimate;
  readonly storedBytes: Estimate;
  /** Of one connection that reads it alone. */
  readonly elapsedMs: Estimate;
}

export interface EstimateReport {
  readonly database: string;
  readonly compression: string;
  readonly jobs: number;
  /** COPY bytes of all rows, and what is stored of them. */
  readonly rawBytes: Estimate;
  readonly storedBytes: Estimate;
  /** Of reading all rows with that many jobs. */
  readonly elapsedMs: Estimate;
  /** Raw bytes that were read for it, and how long that took. */
  readonly sampledBytes: number;
  readonly samplingMs: number;
  /** Largest first. */
  readonly relations: readonly RelationEstimate[];
  /** Null where there are none. */
  readonly largeObjects: Pick<RelationEstimate, 'basis' | 'rawBytes' | 'storedBytes' | 'elapsedMs'> | null;
}

/** Relations that are sampled, the largest first: each costs a round trip or two and a small file. The rest is judged by them. */
const maxSampledRelations = 200;
/** So much of the largest relations is enough: what is left of the size hardly changes the sum. */
const enoughShare = 0.995;
/** Samples that have not begun by then are left out. */
const samplingLimitMs = 30_000;
/** Large objects: so many stretches of about so much. */
const largeObjectSamples = 4;
const largeObjectBytes = 4 * 1024 ** 2;
/** A run's speed depends on what else the machine does. */
const speedRelativeError = 0.5;

/** Errors of one relation that leave the others to be sampled: somebody locks or drops it, or it cannot be read as it is, which the backup will tell. */
const passedCodes: ReadonlySet<string> = new Set(['lock_not_available', 'relation_changed', 'row_too_large', 'page_damaged']);

/**
 * Estimates what a backup with the same options would read and store, and how long that takes, by reading samples of the rows and compressing them as the backup would.
 * Nothing is stored but some files of a few MB below the system's directory for temporary files, one for each job at a time.
 *
 * Errors: those of connecting, `permission_denied`, `usage`, `disk_full`, `cancelled`. Cost: up to 8 MB of rows for each of the 200 largest tables, at most 30 seconds.
 */
export const estimate = (options: BackupOptions, { signal }: RunContext = {}): Promise<EstimateReport> =>
  withSession(options.connection, { applicationName: 'dbbackup estimate', signal }, (session) =>
    estimateDatabase(options, session, signal),
  );

/** The same for the database that `session` is connected to; `overrides` lead to it where the options name another. The session has no transaction and keeps none. */
export const estimateDatabase = async (
  options: BackupOptions,
  session: Session,
  signal: AbortSignal | undefined,
  overrides: Readonly<Record<string, string>> = {},
): Promise<EstimateReport> => {
  const startedMs = systemClock.monotonicMs();
  const settings = toBackupSettings(options);
  for (const sql of prelude('UTF8')) await session.query(sql);
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const end = () => session.query('ROLLBACK');
  try {
    const { database } = session.info();
    const scope = settings.scope === undefined ? wholeScope : await readScope(session, settings.scope, database);
    await checkPrivileges(session, scope);
    const snapshot = toText(await queryRow(session, 'SELECT pg_catalog.pg_export_snapshot()'), 0);
    const catalog = await introspect(session, scope);
    const plan = planBackup(catalog, settings);
    const worker: SessionSpec = {
      key: `estimate ${snapshot}`,
      connection: toConnectionSpec(options.connection, 'dbbackup estimate', { ...toSameServer(session), ...overrides }),
      setupSql: [
        ...prelude(catalog.database.encoding),
        ...toRoleSql(options.connection, catalog.database.encoding),
        // Whoever has locked a table shall not be waited for.
        `SET lock_timeout TO '1s'`,
        'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
        `SET TRANSACTION SNAPSHOT '${snapshot.replaceAll("'", "''")}'`,
      ],
      // The snapshot is this process's own, and nothing is kept that was read under it.
      guardSql: null,
      guardExpected: null,
    };
    const { jobs, compressionName: compression } = settings;
    const samples = await withScratch((directory) =>
      withEngine({ jobs, memoryLimitBytes: options.memoryLimitBytes, signal }, (engine) => {
        const sampler = new Sampler({ engine, directory, settings, worker, session, catalog, plan, startedMs });
        return sampler.run();
      }),
    );
    await end();
    return {
      database,
      compression,
      jobs,
      ...toReport(catalog, plan, samples, jobs),
      samplingMs: Math.round(systemClock.monotonicMs() - startedMs),
    };
  } catch (error) {
    throw await afterFailure(error, end);
  }
};

interface SamplerParts {
  readonly engine: Engine;
  readonly directory: string;
  readonly settings: ReturnType<typeof toBackupSettings>;
  readonly worker: SessionSpec;
  readonly session: Session;
  readonly catalog: Catalog;
  readonly plan: BackupPlan;
  readonly startedMs: number;
}

/** What came of the samples of one relation, or of the large objects. */
interface Sampled {
  readonly isWhole: boolean;
  readonly raw: Estimate;
  readonly stored: Estimate;
  readonly sampledBytes: number;
  readonly elapsedMs: number;
}

interface Samples {
  /** By index of the plan. */
  readonly relations: ReadonlyMap<number, Sampled>;
  readonly largeObjects: Sampled | null;
}

class Sampler {
  readonly #parts: SamplerParts;
  readonly #results = new Map<number, Sampled>();
  #largeObjects: Sampled | null = null;
  /** What a task costs that reads nothing: its files and statements. */
  #overheadMs = 0;
  #nextTaskId = 1;

  constructor(parts: SamplerParts) {
    this.#parts = parts;
  }

  async run(): Promise<Samples> {
    const { settings, catalog, plan } = this.#parts;
    // Twice: the first round connects.
    const nothing = {
      name: 'nothing',
      lockSql: null,
      checkSql: null,
      checkExpected: null,
      copySql: 'COPY (SELECT 1) TO STDOUT',
      format: 'text',
    } as const;
    const calibrate = () => Promise.all(Array.from({ length: settings.jobs }, () => this.#read([nothing], this.#parts.worker)));
    await calibrate();
    this.#overheadMs = Math.min(...(await calibrate()).map(({ elapsedMs }) => elapsedMs));
    const relations = new Map(catalog.relations.map((relation) => [relation.oid, relation]));
    const chosen = chooseLargest(plan.relations);
    const work = chosen.map((index) => async () => {
      const planned = plan.relations[index];
      const relation = relations.get(planned?.oid ?? -1);
      if (planned === undefined || relation === undefined) throw new DbbackupError('internal', `the catalog lacks relation ${index}`);
      await this.#sampleRelation(index, planned, relation);
    });
    const steps = [() => this.#sampleLargeObjects(), ...work][Symbol.iterator]();
    const runLane = async (): Promise<void> => {
      for (const step of steps) {
        if (systemClock.monotonicMs() - this.#parts.startedMs > samplingLimitMs) return;
        try {
          await step();
        } catch (error) {
          if (!(error instanceof DbbackupError && passedCodes.has(error.code))) throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: settings.jobs }, runLane));
    return { relations: this.#results, largeObjects: this.#largeObjects };
  }

  async #sampleRelation(index: number, { format }: RelationPlan, relation: Relation): Promise<void> {
    const { catalog, worker, session } = this.#parts;
    const sample = planSample(relation, catalog.server.version, catalog.server.blockSizeBytes);
    if (sample === null) return;
    const { encoding } = catalog.database;
    const name = relation.quotedName;
    const sources = sample.begins.map(
      (begin): CopyOutSource => ({
        name,
        lockSql: null,
        checkSql: null,
        checkExpected: null,
        copySql: toSampleSql(relation, format, sample, begin, encoding),
        format,
      }),
    );
    const result = await this.#read(sources, worker);
    const rowsInRange = await Promise.all(
      sample.begins.map(async (begin) =>
        sample.rowLimit === null ? null : toNumber(await queryRow(session, toCountSql(relation, sample, begin)), 0),
      ),
    );
    const ranges = sumBySource(result, sources.length).map((range, source) => ({ ...range, rowsInRange: rowsInRange[source] ?? null }));
    this.#results.set(index, this.#toSampled(sample, foldSample(sample, ranges), result));
  }

  #toSampled(sample: Pick<Sample, 'method'>, folded: Pick<Sampled, 'raw' | 'stored'>, result: TaskResult): Sampled {
    const elapsedMs = Math.max(0.01, result.elapsedMs - this.#overheadMs);
    return { isWhole: sample.method === 'whole', ...folded, sampledBytes: result.rawBytes, elapsedMs };
  }

  /** Some stretches of their contents, in equal distances; what describes them is a few bytes for each. */
  async #sampleLargeObjects(): Promise<void> {
    const { catalog, plan, worker } = this.#parts;
    const chunks = planLargeObjects(catalog.largeObjects, largeObjectBytes).filter(({ stream }) => stream === 'content');
    const distance = Math.max(1, Math.floor(chunks.length / largeObjectSamples));
    const chosen = chunks.filter((_, index) => index % distance === Math.floor(distance / 2)).slice(0, largeObjectSamples);
    const expectedBytes = chosen.reduce((sum, { estimatedRawBytes }) => sum + estimatedRawBytes, 0);
    if (expectedBytes === 0 || expectedBytes > largeObjectBytes * largeObjectSamples * 4) return;
    const toSource = createSources(catalog, plan);
    const session = toReadingSession(worker, chosen.slice(0, 1));
    const result = await this.#read(
      chosen.map((chunk: LargeObjectChunk) => toSource(chunk)),
      session,
    );
    const blockCount = chunks.reduce((sum, { estimatedRawBytes }) => sum + estimatedRawBytes, 0);
    const isWhole = chosen.length === chunks.length;
    const sample: Sample = {
      method: isWhole && chosen.length === 1 ? 'whole' : 'ranges',
      blockCount,
      blocksPerRange: expectedBytes / chosen.length,
      begins: [],
      rowLimit: null,
    };
    const ranges = sumBySource(result, chosen.length).map((range) => ({ ...range, rowsInRange: null }));
    this.#largeObjects = this.#toSampled(sample, foldSample(sample, ranges), result);
  }

  async #read(sources: readonly CopyOutSource[], session: SessionSpec): Promise<TaskResult> {
    const { engine, directory, settings } = this.#parts;
    const { codec, level, checksum } = settings;
    const taskId = this.#nextTaskId;
    this.#nextTaskId += 1;
    const extension = dataExtension(codec);
    const sink = { directory, stem: `s${taskId}`, extension, codec, level, checksum, maxStoredBytes: 1024 ** 4, isDirect: false };
    const result = await engine.run({ kind: 'copyOut', taskId, session, sources, sink });
    for (const { path } of result.files) await rm(join(directory, path), { force: true });
    return result;
  }
}

/** Indexes of the plan's relations that are worth a sample, largest first. */
const chooseLargest = (relations: readonly RelationPlan[]): readonly number[] => {
  const ordered = relations.map((relation, index) => ({ index, bytes: relation.estimatedRawBytes })).sort((a, b) => b.bytes - a.bytes);
  const totalBytes = ordered.reduce((sum, { bytes }) => sum + bytes, 0);
  let coveredBytes = 0;
  return ordered.slice(0, maxSampledRelations).flatMap(({ index, bytes }) => {
    const isEnough = coveredBytes >= totalBytes * enoughShare;
    coveredBytes += bytes;
    return isEnough ? [] : [index];
  });
};

const sumBySource = (result: TaskResult, count: number) => {
  const sums = Array.from({ length: count }, () => ({ rawBytes: 0, storedBytes: 0, rowCount: 0 }));
  for (const { source, rawBytes, storedBytes, rowCount } of result.segments) {
    const sum = sums[source];
    if (sum === undefined) continue;
    sum.rawBytes += rawBytes;
    sum.storedBytes += storedBytes;
    sum.rowCount += rowCount;
  }
  return sums;
};

const toReport = (
  catalog: Catalog,
  plan: BackupPlan,
  samples: Samples,
  jobs: number,
): Pick<EstimateReport, 'rawBytes' | 'storedBytes' | 'elapsedMs' | 'sampledBytes' | 'relations' | 'largeObjects'> => {
  const sampled = [...samples.relations.values(), ...(samples.largeObjects === null ? [] : [samples.largeObjects])];
  const ratios = toRatios(plan, samples);
  const sampledBytes = sampled.reduce((sum, one) => sum + one.sampledBytes, 0);
  const msPerByte = sampledBytes === 0 ? 0 : sampled.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0) / sampledBytes;
  const toTime = (rawBytes: number, one: Sampled | undefined): Estimate => {
    const value = rawBytes * (one === undefined || one.sampledBytes === 0 ? msPerByte : one.elapsedMs / one.sampledBytes);
    return { value, error: value * speedRelativeError };
  };
  const toPart = (one: Sampled | undefined, sizeBytes: number) => {
    const { raw, stored } = one ?? guessBySize(sizeBytes, ratios);
    const basis = one === undefined ? 'size' : one.isWhole ? 'whole' : 'samples';
    return { basis, rawBytes: raw, storedBytes: stored, elapsedMs: toTime(raw.value, one) } as const;
  };
  const relations = plan.relations
    .map(
      ({ schema, name, estimatedRawBytes }, index): RelationEstimate => ({
        schema,
        name,
        ...toPart(samples.relations.get(index), estimatedRawBytes),
      }),
    )
    .sort((a, b) => b.rawBytes.value - a.rawBytes.value);
  const largeObjects = catalog.largeObjects === null ? null : toPart(samples.largeObjects ?? undefined, catalog.largeObjects.contentBytes);
  const parts = [...relations, ...(largeObjects === null ? [] : [largeObjects])];
  // What was guessed rests on the same ratios, so that it errs together; speed is that of the same machine.
  const total = (pick: (part: Omit<RelationEstimate, 'schema' | 'name'>) => Estimate): Estimate =>
    sumEstimates([
      ...parts.filter(({ basis }) => basis !== 'size').map(pick),
      addEstimates(parts.filter(({ basis }) => basis === 'size').map(pick)),
    ]);
  const work = addEstimates(parts.map(({ elapsedMs }) => elapsedMs));
  return {
    rawBytes: total(({ rawBytes }) => rawBytes),
    storedBytes: total(({ storedBytes }) => storedBytes),
    elapsedMs: { value: work.value / jobs, error: work.error / jobs },
    sampledBytes,
    relations,
    largeObjects,
  };
};

const toRatios = ({ relations }: BackupPlan, samples: Samples): Ratios => {
  let [size, raw, stored] = [0, 0, 0];
  for (const [index, sampled] of samples.relations) {
    size += relations[index]?.estimatedRawBytes ?? 0;
    raw += sampled.raw.value;
    stored += sampled.stored.value;
  }
  return size === 0 || raw === 0 ? unknownRatios : { rawPerSize: raw / size, storedPerRaw: stored / raw };
};
