import { describe, expect, test } from "vitest";
import { decodeFrame, encodeFrame, FrameError, MAX_PAYLOAD, type FrameType } from "../src/lib/wire/frame";
import { fromHex, golden } from "./golden";

interface Golden {
  frames: { name: string; hex: string; type: string; position: string; payload_hex: string }[];
  errors: { name: string; hex: string; error: string }[];
}

const { frames, errors } = golden<Golden>("frames.json");

// Messages are text on a WebSocket; as binary they exist only between server and agent.
const binary = frames.filter(({ type }) => type !== "message");
const exact = binary.filter(({ position }) => BigInt(position) < 2n ** 53n);
const beyond = binary.filter(({ position }) => BigInt(position) >= 2n ** 53n);

function refusal(bytes: Uint8Array): string {
  try {
    decodeFrame(bytes);
  } catch (error) {
    if (error instanceof FrameError) return error.code;
    throw error;
  }
  return "accepted";
}

describe("golden frames", () => {
  test("are there", () => {
    expect(exact.length).toBeGreaterThan(3);
    expect(beyond.length).toBeGreaterThan(0);
  });

  test.each(exact)("$name is read and written", ({ hex, type, position, payload_hex }) => {
    const frame = { type: type as FrameType, position: Number(position), payload: fromHex(payload_hex) };
    expect(decodeFrame(fromHex(hex))).toEqual(frame);
    expect(encodeFrame(frame)).toEqual(fromHex(hex));
  });

  test.each(beyond)("$name is refused, not rounded", ({ hex }) => {
    expect(refusal(fromHex(hex))).toBe("position_overflow");
  });

  test.each(errors)("$name is refused", ({ hex, error }) => {
    expect(refusal(fromHex(hex))).toBe(error === "not_utf8" ? "unknown_type" : error);
  });
});

describe("limits", () => {
  test("the last position that a number can hold is exact", () => {
    const frame = { type: "output" as const, position: Number.MAX_SAFE_INTEGER - 1, payload: fromHex("41") };
    expect(decodeFrame(encodeFrame(frame))).toEqual(frame);
    expect(refusal(fromHex("01001fffffffffffff41"))).toBe("position_overflow");
  });

  test("a payload is at most 64 KiB", () => {
    const largest = encodeFrame({ type: "input", position: 0, payload: new Uint8Array(MAX_PAYLOAD) });
    expect(decodeFrame(largest).payload.length).toBe(MAX_PAYLOAD);
    expect(refusal(new Uint8Array([...largest, 0]))).toBe("too_long");
    expect(() => encodeFrame({ type: "input", position: 0, payload: new Uint8Array() })).toThrow(FrameError);
  });

  test("a frame inside a larger buffer is read from its own start", () => {
    const outer = fromHex("ffff01000000000000000568");
    expect(decodeFrame(outer.subarray(2)).position).toBe(5);
  });
});
