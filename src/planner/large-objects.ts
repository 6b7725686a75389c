import type { LargeObjectBoundary, LargeObjectFacts, LargeObjectKey } from '../catalog/model.js';
import type { LargeObjectChunk, LargeObjectStream } from './plan.js';

const mebibyte = 1024 * 1024;

/** A restore loads a segment into a temporary table first: so much of the target's disk is taken by each job for a while. */
const maxContentBytes = 256 * mebibyte;
/** Owner, grants and comment, about; most objects have nothing but an owner. */
const metadataBytes = 48;
/** An empty stream still costs a few statements. */
const minStreamBytes = 1024;
/** A restore creates the objects of a chunk in one transaction. */
const maxObjectsPerChunk = 100_000;

export const largeObjectNames: Readonly<Record<LargeObjectStream, string>> = {
  content: 'large objects',
  metadata: 'large objects (metadata)',
};

/** Raw bytes of both streams, by what the Catalog knows. */
export const estimateLargeObjects = (facts: LargeObjectFacts | null): number =>
  facts === null ? 0 : estimateContent(facts) + estimateMetadata(facts);

const estimateContent = ({ contentBytes }: LargeObjectFacts): number => Math.max(minStreamBytes, contentBytes);

const estimateMetadata = ({ objectCount }: LargeObjectFacts): number => Math.max(minStreamBytes, objectCount * metadataBytes);

/**
 * Ranges of keys that hold every page and every object exactly once, of about `targetBytes`; a single huge object falls into several. No range of pages where
 * pages cannot be read: objects are the smallest unit then. Pure and deterministic.
 */
export const planLargeObjects = (facts: LargeObjectFacts | null, targetBytes: number): readonly LargeObjectChunk[] => {
  if (facts === null) return [];
  const chunkBytes = Math.max(1, Math.min(targetBytes, maxContentBytes));
  const objects = facts.oidBoundaries.map((oid): LargeObjectKey => ({ oid, page: 0 }));
  return [
    ...(facts.canReadPages
      ? toChunks('content', estimateContent(facts), chooseByBytes(facts.pageBoundaries, chunkBytes))
      : toChunks('content', estimateContent(facts), choose(objects, Math.ceil(estimateContent(facts) / chunkBytes)))),
    ...toChunks('metadata', estimateMetadata(facts), choose(objects, Math.ceil(facts.objectCount / maxObjectsPerChunk))),
  ];
};

/** Of boundaries at equal distances those, at equal distances again, that make at most `rangeCount` ranges. */
const choose = (boundaries: readonly LargeObjectKey[], wantedCount: number): readonly LargeObjectKey[] => {
  const rangeCount = Math.min(wantedCount, boundaries.length + 1);
  const places = Array.from({ length: Math.max(0, rangeCount - 1) }, (_, index) =>
    Math.floor(((index + 1) * boundaries.length) / rangeCount),
  );
  return [...new Set(places)].flatMap((place) => boundaries[place] ?? []);
};

/** Those of the boundaries that make ranges of about equal bytes, of which none is larger than `maxBytes` if the boundaries lie close enough. */
const chooseByBytes = (boundaries: readonly LargeObjectBoundary[], maxBytes: number): readonly LargeObjectKey[] => {
  const totalBytes = boundaries.reduce((sum, { rawBytes }) => sum + rawBytes, 0);
  const shareBytes = totalBytes / Math.max(1, Math.ceil(totalBytes / maxBytes));
  const chosen: LargeObjectKey[] = [];
  let [doneBytes, rangeBytes, nextBytes] = [0, 0, shareBytes];
  for (const { oid, page, rawBytes } of boundaries) {
    if (rangeBytes > 0 && (doneBytes >= nextBytes || rangeBytes + rawBytes > maxBytes)) {
      chosen.push({ oid, page });
      nextBytes = doneBytes + shareBytes;
      rangeBytes = 0;
    }
    doneBytes += rawBytes;
    rangeBytes += rawBytes;
  }
  return chosen;
};

const toChunks = (stream: LargeObjectStream, totalBytes: number, boundaries: readonly LargeObjectKey[]): readonly LargeObjectChunk[] => {
  const count = boundaries.length + 1;
  return Array.from({ length: count }, (_, index) => {
    const begin = boundaries[index - 1] ?? null;
    const end = boundaries[index] ?? null;
    const part = count === 1 ? '' : ` chunk ${index + 1}/${count} (${describeRange(begin, end)})`;
    return { stream, begin, end, estimatedRawBytes: Math.ceil(totalBytes / count), name: `${largeObjectNames[stream]}${part}` };
  });
};

/** `OIDs 16400 to 20399`, `OIDs from 16400 page 512`: pages are told only where a range begins or ends within an object. */
const describeRange = (begin: LargeObjectKey | null, end: LargeObjectKey | null): string => {
  const from = begin === null ? null : `${begin.oid}${begin.page === 0 ? '' : ` page ${begin.page}`}`;
  const to = end === null ? null : end.page === 0 ? `${end.oid - 1}` : `${end.oid} page ${end.page - 1}`;
  if (from === null) return `OIDs up to ${to}`;
  return to === null ? `OIDs from ${from}` : `OIDs ${from} to ${to}`;
};
