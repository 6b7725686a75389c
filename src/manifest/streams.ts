import type { ManifestDatabase, ManifestSegment } from './schema.js';

/** What has rows in a backup: a relation, or a stream of large objects. */
export interface ManifestRows {
  readonly rowCount: number;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly segments: readonly ManifestSegment[];
}

/** Everything of a database that has rows: its relations, and the two streams of its large objects. */
export const listRows = ({ relations, largeObjects }: ManifestDatabase): readonly ManifestRows[] =>
  largeObjects === null ? relations : [...relations, largeObjects.content, largeObjects.metadata];

/** Indexes of the data files that hold rows of a database. */
export const listFiles = (database: ManifestDatabase): ReadonlySet<number> =>
  new Set(listRows(database).flatMap(({ segments }) => segments.map(({ file }) => file)));
