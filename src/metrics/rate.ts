interface Sample {
  readonly atMs: number;
  readonly total: number;
}

/** The rate of a growing total over the last few seconds. Pure: the caller brings the time. Holds one sample per call within the window. */
export class MovingRate {
  readonly #windowMs: number;
  readonly #samples: Sample[] = [];

  /** `windowMs`: long enough to be steady, short enough to follow. Default: 10 seconds. */
  constructor(windowMs = 10_000) {
    this.#windowMs = windowMs;
  }

  /** Notes that the total was `total` at `atMs`, and gives the rate per second since the window began; 0 for a first sample. A total or time that goes back begins anew. */
  add(atMs: number, total: number): number {
    const last = this.#samples.at(-1);
    if (last !== undefined && (total < last.total || atMs < last.atMs)) this.#samples.length = 0;
    this.#samples.push({ atMs, total });
    // The newest sample outside the window stays: it is where the window begins.
    while (this.#samples.length > 2 && atMs - (this.#samples[1]?.atMs ?? atMs) >= this.#windowMs) this.#samples.shift();
    const first = this.#samples[0];
    return first === undefined || atMs <= first.atMs ? 0 : ((total - first.total) * 1000) / (atMs - first.atMs);
  }
}
