import type { Frame } from "../wire/frame";
import type { Hello, ServerMessage } from "../wire/messages";

/** What the terminal must do, in this order. */
export type Step =
  | { kind: "reset"; cols: number; rows: number }
  | { kind: "resize"; cols: number; rows: number }
  | { kind: "output"; bytes: Uint8Array; end: number }
  | { kind: "snapshot"; bytes: Uint8Array; last: boolean; offset: number }
  | { kind: "gap"; from: number; to: number };

/** The server sent something that does not continue what it sent before. */
export class OrderError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "OrderError";
  }
}

/**
 * Checks that the output of one connection comes in order, without overlap and
 * without holes, and turns it into steps for the terminal.
 */
export class Inbound {
  #expected: number;
  #snapshot: { offset: number; left: number } | null = null;
  readonly #started: Step[];

  constructor(hello: Hello, since: number | null) {
    this.#expected = hello.offset;
    this.#started = [];
    if (hello.start === "fresh") {
      this.#started.push({ kind: "reset", cols: hello.cols, rows: hello.rows });
    } else if (hello.start === "resumed") {
      if (since !== hello.offset) throw new OrderError("resumed at another offset");
      this.#started.push({ kind: "resize", cols: hello.cols, rows: hello.rows });
    } else if (hello.start === "gap") {
      this.#expected = since ?? 0;
      this.#started.push({ kind: "resize", cols: hello.cols, rows: hello.rows });
    }
  }

  /** The steps that `hello` itself asks for. */
  get started(): readonly Step[] {
    return this.#started;
  }

  /** Where to go on after this connection, or null in the middle of a snapshot. */
  get resumeAt(): number | null {
    return this.#snapshot ? null : this.#expected;
  }

  frame({ type, position, payload }: Frame): Step {
    const end = position + payload.length;
    if (type === "output") {
      if (this.#snapshot) throw new OrderError("output inside a snapshot");
      if (position !== this.#expected) throw new OrderError("output does not continue");
      this.#expected = end;
      return { kind: "output", bytes: payload, end };
    }
    if (type === "snapshot") {
      const snapshot = this.#snapshot;
      if (!snapshot || snapshot.offset !== position || payload.length > snapshot.left) {
        throw new OrderError("a snapshot frame without its snapshot");
      }
      snapshot.left -= payload.length;
      const last = snapshot.left === 0;
      if (last) this.#snapshot = null;
      return { kind: "snapshot", bytes: payload, last, offset: position };
    }
    throw new OrderError(`a frame of type ${type} is not for a viewer`);
  }

  /** The steps for a message; most messages are not about the screen. */
  message(message: ServerMessage): Step[] {
    if (message.type === "resize") {
      return [{ kind: "resize", cols: message.cols, rows: message.rows }];
    }
    if (message.type === "gap") {
      if (message.to < message.from) throw new OrderError("a gap that goes back");
      this.#expected = message.to;
      return [{ kind: "gap", from: message.from, to: message.to }];
    }
    if (message.type === "snapshot") {
      const { offset, cols, rows, length } = message;
      this.#expected = offset;
      this.#snapshot = length > 0 ? { offset, left: length } : null;
      return [{ kind: "reset", cols, rows }];
    }
    return [];
  }
}
