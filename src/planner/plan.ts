import type { LargeObjectKey } from '../catalog/model.js';
import type { RowFormat } from '../core/results.js';

/** How one relation is read, and why. Column order is COPY's. */
export interface RelationPlan {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly quotedName: string;
  readonly format: RowFormat;
  /** For example `column "kind" is regclass, which binary COPY cannot carry safely`. */
  readonly formatReason: string;
  readonly readMethod: 'whole' | 'ctid-ranges';
  /** For example `smaller than a chunk`, `access method columnar has no TID ranges`. */
  readonly readReason: string;
  readonly estimatedRawBytes: number;
  readonly chunkCount: number;
}

/** A contiguous range of blocks of one relation; `endBlock: null` is open-ended, both null is the whole relation. */
export interface RelationChunk {
  /** Index into `Plan.relations`. */
  readonly relation: number;
  readonly beginBlock: number | null;
  readonly endBlock: number | null;
  readonly estimatedRawBytes: number;
  /** `public.orders`, or `public.orders chunk 3/17 (ctid blocks 100 to 199)`. */
  readonly name: string;
}

/** The two streams that large objects are saved as: the rows of `pg_largeobject`, and owner, grants, comment and labels of each object. */
export type LargeObjectStream = 'content' | 'metadata';

/** A contiguous range of keys of a stream of large objects, `end` not included; null is open-ended. Chunks of metadata begin and end at page 0. */
export interface LargeObjectChunk {
  readonly stream: LargeObjectStream;
  readonly begin: LargeObjectKey | null;
  readonly end: LargeObjectKey | null;
  readonly estimatedRawBytes: number;
  /** `large objects`, or `large objects chunk 3/8 (OIDs 16400 to 20399)`. */
  readonly name: string;
}

export type Chunk = RelationChunk | LargeObjectChunk;

export const isRelationChunk = (chunk: Chunk): chunk is RelationChunk => 'relation' in chunk;

/** One unit of work for one worker: one chunk of a large relation, or several small relations packed together. */
export interface PlannedTask {
  /** From 1, in order of execution. */
  readonly taskId: number;
  readonly chunks: readonly Chunk[];
  readonly estimatedRawBytes: number;
}

/** A relation whose rows cannot be saved, and why: for the user to see. */
export interface SkippedRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly reason: string;
  /** The options leave its rows out: nobody needs to be told. */
  readonly isChosen: boolean;
}

/** Ordered, immutable, JSON-serialisable; the same Catalog and options give the same Plan. */
export interface BackupPlan {
  /** The Catalog's relations that have rows of their own, in its order: no partitioned tables. Chunks of rows refer to them by index, each at least once. */
  readonly relations: readonly RelationPlan[];
  /** Those whose rows the options leave out, and unlogged tables on a standby, which cannot read them. */
  readonly skipped: readonly SkippedRelation[];
  readonly tasks: readonly PlannedTask[];
  readonly estimatedRawBytes: number;
}

export interface BackupPlanOptions {
  readonly jobs: number;
  readonly chunkSizeBytes: number;
  readonly format: 'auto' | 'binary' | 'text';
}
