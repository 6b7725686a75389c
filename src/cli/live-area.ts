import type { TextStream } from './style.js';
import { truncate } from './text.js';

/** A few lines at the foot of a terminal that are rewritten in place; what is printed meanwhile scrolls above them. */
export class LiveArea {
  readonly #stream: TextStream;
  #lines: readonly string[] = [];

  constructor(stream: TextStream) {
    this.#stream = stream;
  }

  /** Replaces the lines. Longer ones are cut: a wrapped line could not be taken back. */
  update(lines: readonly string[]): void {
    // One column is left free: some terminals wrap as soon as the last one is filled.
    const width = (this.#stream.columns ?? 80) - 1;
    const cut = lines.map((line) => truncate(line, width));
    this.#stream.write(this.#eraser() + cut.map((line) => `${line}\n`).join(''));
    this.#lines = cut;
  }

  /** Prints lasting text above the lines. */
  print(text: string): void {
    this.#stream.write(`${this.#eraser()}${text}\n${this.#lines.map((line) => `${line}\n`).join('')}`);
  }

  /** Takes the lines back. */
  clear(): void {
    if (this.#lines.length > 0) this.#stream.write(this.#eraser());
    this.#lines = [];
  }

  /** Cursor up to the first line, erase to the end of the screen. */
  #eraser(): string {
    return this.#lines.length === 0 ? '' : `\u001b[${this.#lines.length}A\u001b[0J`;
  }
}
