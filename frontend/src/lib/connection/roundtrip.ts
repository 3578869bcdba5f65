/** The first measurements come soon, so that there is something to show. */
const FIRST_MS = [0, 1000, 2000];

const EVERY_MS = 5000;

/** The middle one of so many measurements counts: one that was held up by much output does not. */
const SAMPLES = 3;

/**
 * Measures how long a message takes to the terminal and back, now and then and
 * only while somebody can see the page.
 */
export class RoundTrip {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asked: { id: number; at: number } | null = null;
  #samples: number[] = [];
  #count = 0;

  /** `ping` asks and returns the id of the question; `changed` is given milliseconds. */
  constructor(
    private readonly ping: () => number,
    private readonly visible: () => boolean,
    private readonly changed: (roundTrip: number) => void,
  ) {
    this.#later();
  }

  pong(id: number): void {
    if (this.#asked?.id !== id) return;
    this.#samples = [...this.#samples, performance.now() - this.#asked.at].slice(-SAMPLES);
    this.#asked = null;
    const sorted = [...this.#samples].sort((a, b) => a - b);
    this.changed(Math.round(sorted[Math.floor((sorted.length - 1) / 2)]!));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #later(): void {
    this.#timer = setTimeout(() => this.#elapsed(), FIRST_MS[this.#count] ?? EVERY_MS);
    this.#count += 1;
  }

  #elapsed(): void {
    // It is at least what has passed since the question, when there is no answer yet.
    if (this.#asked) this.changed(Math.round(performance.now() - this.#asked.at));
    else if (this.visible()) this.#asked = { id: this.ping(), at: performance.now() };
    this.#later();
  }
}
