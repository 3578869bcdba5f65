/** The JSON messages of the terminal protocol (docs/protocol.md). */

export type Role = "writer" | "reader";

export interface Hello {
  type: "hello";
  terminal: string;
  role: Role;
  cols: number;
  rows: number;
  offset: number;
  start: "fresh" | "resumed" | "snapshot" | "gap";
  /** Names this run of the program: another run's offsets mean something else. */
  run: string;
  sequence: number;
  window: number;
}

/** How a program ended. Never both a code and a signal. */
export interface ExitMessage {
  type: "exit";
  code: number | null;
  signal: string | null;
  reason: string;
  offset: number;
}

/** Who is watching, and who of them types for output from here on. */
export interface Viewers {
  type: "viewers";
  you: number;
  writer: number | null;
  count: number;
  viewers: { viewer: number; role: Role }[];
}

/** What the terminal itself does with what is typed: show it, and keep it until the line ends. */
export interface Line {
  type: "line";
  echo: boolean;
  canonical: boolean;
}

export type ServerMessage =
  | Hello
  | Viewers
  | Line
  | ExitMessage
  | { type: "snapshot"; offset: number; cols: number; rows: number; length: number }
  | { type: "resize"; cols: number; rows: number; offset: number }
  | { type: "ack"; sequence: number }
  | { type: "gap"; from: number; to: number }
  | { type: "notice"; code: string; message: string }
  | { type: "pong"; id: number };

export type ClientMessage =
  | { type: "resize"; cols: number; rows: number }
  | { type: "ack"; offset: number }
  | { type: "ping"; id: number }
  | { type: "role"; role: Role; viewer?: number };

/** A message of a known type whose fields are not what the protocol says. */
export class MessageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "MessageError";
  }
}

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === "string";
const flag: Check = (value) => typeof value === "boolean";
const position: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const cells: Check = (value) => position(value) && (value as number) >= 1 && (value as number) <= 1000;
const presences: Check = (value) =>
  Array.isArray(value) && value.every((it: { viewer?: unknown; role?: unknown } | null) => position(it?.viewer) && role(it?.role));
const optional = (check: Check): Check => (value) => value === null || check(value);
const oneOf = (...values: string[]): Check => (value) => values.includes(value as string);
const role = oneOf("writer", "reader");

const FIELDS: Record<ServerMessage["type"], Record<string, Check>> = {
  hello: {
    terminal: text,
    role,
    cols: cells,
    rows: cells,
    offset: position,
    start: oneOf("fresh", "resumed", "snapshot", "gap"),
    run: text,
    sequence: position,
    window: position,
  },
  snapshot: { offset: position, cols: cells, rows: cells, length: position },
  resize: { cols: cells, rows: cells, offset: position },
  ack: { sequence: position },
  gap: { from: position, to: position },
  viewers: { you: position, writer: optional(position), count: position, viewers: presences },
  line: { echo: flag, canonical: flag },
  exit: { code: optional(Number.isSafeInteger), signal: optional(text), reason: text, offset: position },
  notice: { code: text, message: text },
  pong: { id: position },
};

/**
 * Reads one text WebSocket message. A type that this client does not know
 * gives null: later servers may send more than this client understands.
 */
export function parseServerMessage(json: string): ServerMessage | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new MessageError("a message is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new MessageError("a message is not an object");
  }
  const fields = value as Record<string, unknown>;
  if (typeof fields.type !== "string") throw new MessageError("a message has no type");
  if (!Object.hasOwn(FIELDS, fields.type)) return null;

  for (const [name, check] of Object.entries(FIELDS[fields.type as ServerMessage["type"]])) {
    if (!check(fields[name])) {
      throw new MessageError(`the field ${name} of ${fields.type} is not valid`);
    }
  }
  return fields as unknown as ServerMessage;
}

/** Writes one text WebSocket message. */
export function encodeClientMessage(message: ClientMessage): string {
  return JSON.stringify(message);
}
