/**
 * The binary frames of the terminal protocol (docs/protocol.md): a type byte,
 * a big-endian 64-bit position, and the payload. No I/O happens here.
 */

const TYPE_CODES = { output: 1, input: 2, snapshot: 3, stderr: 4 } as const;

export type FrameType = keyof typeof TYPE_CODES;

const TYPES_BY_CODE = new Map<number, FrameType>(
  Object.entries(TYPE_CODES).map(([type, code]) => [code, type as FrameType]),
);

const HEADER_LENGTH = 9;

/** The most bytes that one frame may carry. */
export const MAX_PAYLOAD = 65_536;

export interface Frame {
  type: FrameType;
  /** An output offset or an input sequence. */
  position: number;
  payload: Uint8Array;
}

export type FrameErrorCode =
  | "empty"
  | "unknown_type"
  | "too_short"
  | "too_long"
  | "position_overflow";

/** A frame that the protocol does not allow. */
export class FrameError extends Error {
  constructor(readonly code: FrameErrorCode) {
    super(`frame refused: ${code}`);
    this.name = "FrameError";
  }
}

/**
 * Reads one binary WebSocket message. Positions are plain numbers: a terminal
 * would have to put out 2^53 bytes before that is wrong, and then the frame is
 * refused rather than rounded.
 */
export function decodeFrame(bytes: Uint8Array): Frame {
  const code = bytes[0];
  if (code === undefined) throw new FrameError("empty");
  const type = TYPES_BY_CODE.get(code);
  if (type === undefined) throw new FrameError("unknown_type");
  if (bytes.length <= HEADER_LENGTH) throw new FrameError("too_short");
  const payload = bytes.subarray(HEADER_LENGTH);
  if (payload.length > MAX_PAYLOAD) throw new FrameError("too_long");

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const position = view.getUint32(1) * 2 ** 32 + view.getUint32(5);
  if (position + payload.length > Number.MAX_SAFE_INTEGER) {
    throw new FrameError("position_overflow");
  }
  return { type, position, payload };
}

/** Writes one binary WebSocket message. */
export function encodeFrame({ type, position, payload }: Frame): Uint8Array<ArrayBuffer> {
  if (payload.length === 0) throw new FrameError("too_short");
  if (payload.length > MAX_PAYLOAD) throw new FrameError("too_long");
  if (position + payload.length > Number.MAX_SAFE_INTEGER) {
    throw new FrameError("position_overflow");
  }
  const bytes = new Uint8Array(HEADER_LENGTH + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, TYPE_CODES[type]);
  view.setUint32(1, Math.floor(position / 2 ** 32));
  view.setUint32(5, position % 2 ** 32);
  bytes.set(payload, HEADER_LENGTH);
  return bytes;
}
