/** How much may be typed while there is no connection. */
export const AWAY_LIMIT = 65_536;

/** How much a paste may leave waiting while there is a connection. */
export const CONNECTED_LIMIT = 16 * 1024 * 1024;

/** How much is sent before the server has acknowledged it. */
const IN_FLIGHT_LIMIT = 65_536;

const FRAME_LIMIT = 16_384;

export interface InputFrame {
  sequence: number;
  bytes: Uint8Array;
}

/**
 * Holds what was typed until the server says that the terminal has it, so that
 * after a lost connection the rest is sent again and nothing twice.
 *
 * Sequences count bytes: `#base` is the first byte kept, `#sent` the first not
 * sent on this connection, `#end` the one after the last typed.
 */
export class InputQueue {
  #chunks: Uint8Array[] = [];
  #base = 0;
  #sent = 0;
  #end = 0;

  /** Bytes that are kept: typed, and not known to have arrived. */
  get length(): number {
    return this.#end - this.#base;
  }

  /** The sequence after the last byte that was typed. */
  get end(): number {
    return this.#end;
  }

  /**
   * Takes what was typed, wholly or not at all: half a paste would be worse
   * than none. Returns false when there is no room for it.
   */
  push(bytes: Uint8Array, limit: number): boolean {
    if (this.length + bytes.length > limit) return false;
    if (bytes.length > 0) this.#chunks.push(bytes);
    this.#end += bytes.length;
    return true;
  }

  /** The next frame to send, or null when there is none or enough is on its way. */
  next(): InputFrame | null {
    const inFlight = this.#sent - this.#base;
    const size = Math.min(this.#end - this.#sent, FRAME_LIMIT, IN_FLIGHT_LIMIT - inFlight);
    if (size <= 0) return null;
    const frame = { sequence: this.#sent, bytes: this.#copy(inFlight, size) };
    this.#sent += size;
    return frame;
  }

  /** The terminal has everything before `sequence`. */
  acknowledge(sequence: number): void {
    const known = Math.min(sequence, this.#sent);
    if (known > this.#base) this.#forget(known - this.#base);
  }

  /**
   * A connection begins, and the server has applied `sequence` bytes. What it
   * lacks will be sent again. When it knows less than it once acknowledged, or
   * more than was ever typed, this is another program than the one the kept
   * bytes were typed for: they are dropped, and the answer is false.
   */
  resume(sequence: number): boolean {
    const same = sequence >= this.#base && sequence <= this.#end;
    if (same) {
      this.#forget(sequence - this.#base);
    } else {
      this.#chunks = [];
      this.#base = this.#end = sequence;
    }
    this.#sent = sequence;
    return same;
  }

  /** Drops what was typed for a program that has ended. */
  clear(): void {
    this.#chunks = [];
    this.#base = this.#sent = this.#end;
  }

  #forget(count: number): void {
    this.#base += count;
    while (count > 0) {
      const first = this.#chunks[0]!;
      if (first.length > count) {
        this.#chunks[0] = first.subarray(count);
        return;
      }
      count -= first.length;
      this.#chunks.shift();
    }
  }

  #copy(start: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    let filled = 0;
    for (const chunk of this.#chunks) {
      if (start >= chunk.length) {
        start -= chunk.length;
        continue;
      }
      const part = chunk.subarray(start, start + size - filled);
      bytes.set(part, filled);
      filled += part.length;
      start = 0;
      if (filled === size) break;
    }
    return bytes;
  }
}
