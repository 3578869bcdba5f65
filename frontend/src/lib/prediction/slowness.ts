/** Below this many milliseconds to the terminal and back, nobody misses a guess. */
const FAST_MS = 40;

/** Above this many, everybody does. */
const SLOW_MS = 60;

/** Whether the terminal is slow to answer: between the two limits, it is what it was before. */
export class Slowness {
  #slow = false;

  get slow(): boolean {
    return this.#slow;
  }

  /** A measurement in milliseconds. */
  measured(roundTrip: number): void {
    if (roundTrip >= SLOW_MS) this.#slow = true;
    else if (roundTrip < FAST_MS) this.#slow = false;
  }
}
