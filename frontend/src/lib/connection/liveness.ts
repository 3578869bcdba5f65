const PING_EVERY_MS = 15_000;
const ANSWER_WITHIN_MS = 10_000;

/**
 * Notices that a connection is dead though nobody has closed it: a laptop that
 * slept, a network that changed. A page cannot see WebSocket pings, so it asks
 * in its own words and expects to hear something, whatever it is.
 */
export class Liveness {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asked = false;

  constructor(
    private readonly ping: () => void,
    private readonly dead: () => void,
  ) {
    this.heard();
  }

  /** Something has come from the server. */
  heard(): void {
    this.stop();
    this.#asked = false;
    this.#timer = setTimeout(() => this.#elapsed(), PING_EVERY_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #elapsed(): void {
    if (this.#asked) {
      this.dead();
      return;
    }
    this.#asked = true;
    this.ping();
    this.#timer = setTimeout(() => this.#elapsed(), ANSWER_WITHIN_MS);
  }
}
