/** What a data set is: steps that fill an empty database, the same content every time. */

/** Statements for one psql session, run as given (psql's own variables and backslash commands are not used). */
export interface SqlStep {
  readonly kind: 'sql';
  readonly name: string;
  readonly sql: string;
}

/** One `COPY … FROM STDIN`, fed with what `rows()` yields. */
export interface CopyStep {
  readonly kind: 'copy';
  readonly name: string;
  readonly statement: string;
  readonly rows: () => Iterable<Buffer>;
}

export type FillStep = SqlStep | CopyStep;

/** Steps in order, each in a session of its own. */
export type Lane = readonly FillStep[];

/** Lanes that may run side by side. A stage begins when the one before has finished. */
export type Stage = readonly Lane[];

export interface Dataset {
  readonly name: string;
  /** One line for people. */
  readonly description: string;
  /** Stages that fill a database with tables of about `sizeGb` gigabytes (1e9 bytes, indexes not counted). */
  readonly stages: (sizeGb: number) => readonly Stage[];
}

export const sqlStep = (name: string, sql: string): SqlStep => ({ kind: 'sql', name, sql });

export const copyStep = (name: string, statement: string, rows: () => Iterable<Buffer>): CopyStep => ({
  kind: 'copy',
  name,
  statement,
  rows,
});
