import { DbbackupError } from '../core/errors.js';

/**
 * What passes through a keeper's socket, as `native/keeper/frame.h` describes it: a length (u32, network byte order, of what follows), a type byte and fields. A text
 * is its length (u32) and its bytes; the length 0xffffffff is null.
 */
export interface Frame {
  /** One ASCII character. */
  readonly type: string;
  readonly fields: Buffer;
}

type Field = number | string | null;

const lengthBytes = 4;
const noText = 0xffffffff;

/** Puts one frame together. A number is a u32. */
export const encodeFrame = (type: string, fields: readonly Field[] = []): Buffer => {
  const parts = fields.map((field) => {
    if (typeof field === 'number') return toNumber(field);
    if (field === null) return toNumber(noText);
    const bytes = Buffer.from(field, 'utf8');
    return Buffer.concat([toNumber(bytes.length), bytes]);
  });
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...parts]);
  return Buffer.concat([toNumber(body.length), body]);
};

/** A list as the fields of a frame: its length first. */
export const toFields = (texts: readonly (string | null)[]): readonly Field[] => [texts.length, ...texts];

const toNumber = (value: number): Buffer => {
  const bytes = Buffer.alloc(lengthBytes);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Cuts a stream of bytes into frames. */
export class FrameDecoder {
  #chunks: Buffer[] = [];
  #size = 0;

  /** Calls `onFrame` for each frame that these bytes complete, in order. */
  push(bytes: Buffer, onFrame: (frame: Frame) => void): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    // Put together only when a frame is complete: a large one comes in many pieces.
    if (this.#size < lengthBytes || this.#size < lengthBytes + this.#peekLength()) return;
    const all = Buffer.concat(this.#chunks);
    let begin = 0;
    while (all.length - begin >= lengthBytes) {
      const end = begin + lengthBytes + all.readUInt32BE(begin);
      if (end > all.length) break;
      if (end === begin + lengthBytes) throw violation('a frame without a type');
      onFrame({
        type: all.toString('latin1', begin + lengthBytes, begin + lengthBytes + 1),
        fields: all.subarray(begin + lengthBytes + 1, end),
      });
      begin = end;
    }
    const rest = all.subarray(begin);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
  }

  #peekLength(): number {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= lengthBytes) return first.readUInt32BE();
    this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]?.readUInt32BE() ?? 0;
  }
}

/** Reads the fields of one frame in order. Errors: `protocol_violation` when they end too early. */
export class FieldReader {
  readonly #fields: Buffer;
  #at = 0;

  constructor({ fields }: Frame) {
    this.#fields = fields;
  }

  number(): number {
    return this.#take(lengthBytes).readUInt32BE();
  }

  textOrNull(): string | null {
    const length = this.number();
    return length === noText ? null : this.#take(length).toString('utf8');
  }

  text(): string {
    const text = this.textOrNull();
    if (text === null) throw violation('a field without its text');
    return text;
  }

  texts(): readonly (string | null)[] {
    const texts: (string | null)[] = [];
    for (let left = this.number(); left > 0; left -= 1) texts.push(this.textOrNull());
    return texts;
  }

  #take(size: number): Buffer {
    const end = this.#at + size;
    if (end > this.#fields.length) throw violation('a frame that ends in the middle of a field');
    const taken = this.#fields.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

const violation = (what: string): DbbackupError => new DbbackupError('protocol_violation', `the keeper sent ${what}`);
