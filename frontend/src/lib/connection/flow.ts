/**
 * Decides when to acknowledge parsed output. The server sends at most a window
 * beyond the last acknowledgement, so one each quarter keeps the stream moving
 * without a message for every frame.
 */
export class AckPacer {
  #acknowledged: number;
  readonly #step: number;

  constructor(start: number, window: number) {
    this.#acknowledged = start;
    this.#step = Math.max(1, Math.floor(window / 4));
  }

  /** Everything before `offset` has been parsed: must that be acknowledged now? */
  parsed(offset: number): boolean {
    if (offset - this.#acknowledged < this.#step) return false;
    this.#acknowledged = offset;
    return true;
  }

  /** A snapshot has been parsed; it is always acknowledged. */
  snapshotParsed(offset: number): void {
    this.#acknowledged = offset;
  }
}
