import { describe, expect, test } from "vitest";
import { AWAY_LIMIT, InputQueue } from "../src/lib/connection/input";

const LIMIT = 1_000_000;
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (frame: { bytes: Uint8Array } | null) => frame && new TextDecoder().decode(frame.bytes);

function drain(queue: InputQueue): { sequence: number; length: number }[] {
  const frames = [];
  for (let frame = queue.next(); frame; frame = queue.next()) {
    frames.push({ sequence: frame.sequence, length: frame.bytes.length });
  }
  return frames;
}

describe("sequences", () => {
  test("each frame begins at the end of the one before", () => {
    const queue = new InputQueue();
    queue.push(bytes("ab"), LIMIT);
    expect(queue.next()).toEqual({ sequence: 0, bytes: bytes("ab") });
    expect(queue.next()).toBeNull();
    queue.push(bytes("c"), LIMIT);
    expect(queue.next()).toEqual({ sequence: 2, bytes: bytes("c") });
  });

  test("small pieces are sent together and large ones apart", () => {
    const queue = new InputQueue();
    queue.push(bytes("l"), LIMIT);
    queue.push(bytes("s\r"), LIMIT);
    expect(text(queue.next())).toBe("ls\r");

    const large = new InputQueue();
    large.push(new Uint8Array(40_000), LIMIT);
    expect(drain(large)).toEqual([
      { sequence: 0, length: 16_384 },
      { sequence: 16_384, length: 16_384 },
      { sequence: 32_768, length: 7_232 },
    ]);
  });

  test("no more than 64 KiB are on their way", () => {
    const queue = new InputQueue();
    queue.push(new Uint8Array(100_000), LIMIT);
    expect(drain(queue).at(-1)).toEqual({ sequence: 49_152, length: 16_384 });
    queue.acknowledge(10);
    expect(queue.next()).toMatchObject({ sequence: 65_536, bytes: { length: 10 } });
    expect(queue.next()).toBeNull();
  });
});

describe("after a lost connection", () => {
  test("only what was not applied is sent again", () => {
    const queue = new InputQueue();
    queue.push(bytes("abcdef"), LIMIT);
    queue.next();
    queue.acknowledge(2);
    queue.push(bytes("gh"), LIMIT);
    expect(queue.resume(4)).toBe(true);
    expect(queue.next()).toEqual({ sequence: 4, bytes: bytes("efgh") });
  });

  test("nothing is sent again when all was applied", () => {
    const queue = new InputQueue();
    queue.push(bytes("abc"), LIMIT);
    queue.next();
    expect(queue.resume(3)).toBe(true);
    expect(queue.next()).toBeNull();
    expect(queue.length).toBe(0);
  });

  test("what was typed for another program is dropped", () => {
    const queue = new InputQueue();
    queue.push(bytes("abc"), LIMIT);
    queue.next();
    queue.acknowledge(3);
    queue.push(bytes("secret"), LIMIT);
    expect(queue.resume(0)).toBe(false);
    expect(queue.next()).toBeNull();
    queue.push(bytes("x"), LIMIT);
    expect(queue.next()).toEqual({ sequence: 0, bytes: bytes("x") });
  });

  test("counting goes on where the server is when it knows more", () => {
    const queue = new InputQueue();
    expect(queue.resume(12)).toBe(false);
    queue.push(bytes("x"), LIMIT);
    expect(queue.next()).toEqual({ sequence: 12, bytes: bytes("x") });
  });
});

describe("bounds", () => {
  test("what does not fit is dropped whole", () => {
    const queue = new InputQueue();
    expect(queue.push(new Uint8Array(AWAY_LIMIT), AWAY_LIMIT)).toBe(true);
    expect(queue.push(bytes("x"), AWAY_LIMIT)).toBe(false);
    expect(queue.length).toBe(AWAY_LIMIT);
  });

  test("an acknowledgement of what was never sent forgets nothing more", () => {
    const queue = new InputQueue();
    queue.push(bytes("abc"), LIMIT);
    queue.acknowledge(99);
    expect(text(queue.next())).toBe("abc");
  });

  test("a random history of chunks, frames and acknowledgements keeps every byte", () => {
    const queue = new InputQueue();
    const typed: number[] = [];
    const sent: number[] = [];
    for (let step = 0; step < 500; step += 1) {
      const chunk = Uint8Array.from({ length: step % 7 }, (_, index) => (step + index) % 256);
      typed.push(...chunk);
      queue.push(chunk, LIMIT);
      if (step % 3 === 0) {
        const frame = queue.next();
        if (frame) {
          expect(frame.sequence).toBe(sent.length);
          sent.push(...frame.bytes);
        }
      }
      if (step % 5 === 0) queue.acknowledge(sent.length - (step % 2));
    }
    for (let frame = queue.next(); frame; frame = queue.next()) sent.push(...frame.bytes);
    expect(sent).toEqual(typed);
  });
});
