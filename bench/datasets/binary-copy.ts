/** PostgreSQL's binary COPY format, as far as the data sets need it: https://www.postgresql.org/docs/current/sql-copy.html */

/** Signature, flags 0, no header extension. */
const header = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex');
const trailer = Buffer.from('ffff', 'hex');

/** A field's bytes, or pieces of known total size for fields that should not be built in memory. */
export type BinaryField = Buffer | { readonly sizeBytes: number; readonly pieces: Iterable<Buffer> };

export const int8Field = (value: number): Buffer => {
  const field = Buffer.alloc(8);
  field.writeBigInt64BE(BigInt(value));
  return field;
};

export const int4Field = (value: number): Buffer => {
  const field = Buffer.alloc(4);
  field.writeInt32BE(value);
  return field;
};

export const textField = (value: string): Buffer => Buffer.from(value, 'utf8');

/** Microseconds since 2000-01-01 UTC. */
export const timestamptzField = (date: Date): Buffer => int8Field((date.getTime() - Date.UTC(2000, 0, 1)) * 1000);

function* encodeRow(fields: readonly BinaryField[]): Iterable<Buffer> {
  const count = Buffer.alloc(2);
  count.writeInt16BE(fields.length);
  yield count;
  for (const field of fields) {
    if (Buffer.isBuffer(field)) {
      yield int4Field(field.length);
      yield field;
    } else {
      yield int4Field(field.sizeBytes);
      yield* field.pieces;
    }
  }
}

/** A whole binary COPY stream in buffers of at least 64 KiB, so that a pipe is fed with few writes. */
export function* encodeCopy(rows: Iterable<readonly BinaryField[]>): Iterable<Buffer> {
  let pending: Buffer[] = [header];
  let pendingBytes = header.length;
  for (const row of rows) {
    for (const piece of encodeRow(row)) {
      pending.push(piece);
      pendingBytes += piece.length;
      if (pendingBytes >= 64 * 1024) {
        yield pending.length === 1 ? piece : Buffer.concat(pending, pendingBytes);
        pending = [];
        pendingBytes = 0;
      }
    }
  }
  yield Buffer.concat([...pending, trailer]);
}
