/**
 * One viewer's connection to a terminal, kept alive across lost networks.
 *
 *   connecting ──hello──▶ connected ──lost──▶ waiting ──▶ connecting
 *       │                     │                  ▲
 *       └──────lost───────────┼──────────────────┘
 *       └──refused──┐         └──exit, 4000–4099──▶ ended
 *                   └─────────────────────────────▶ ended
 */
import { backoffDelay } from "./backoff";
import { isFinal } from "./close";
import { AckPacer } from "./flow";
import { Inbound, type Step } from "./inbound";
import { AWAY_LIMIT, CONNECTED_LIMIT, InputQueue } from "./input";
import { Liveness } from "./liveness";
import { RoundTrip } from "./roundtrip";
import { decodeFrame, encodeFrame } from "../wire/frame";
import {
  encodeClientMessage,
  parseServerMessage,
  type ClientMessage,
  type ExitMessage,
  type Hello,
  type Line,
  type Role,
  type ServerMessage,
  type Viewers,
} from "../wire/messages";

/** The part of a WebSocket that is used; tests bring their own. */
export interface Socket {
  binaryType: string;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** Why there is nothing more to come. */
export type End =
  | { kind: "exit"; exit: ExitMessage }
  | { kind: "closed"; code: number; reason: string }
  | { kind: "refused"; error: unknown };

export type Status =
  | { kind: "idle" }
  | { kind: "connecting" }
  | { kind: "connected"; role: Role }
  | { kind: "waiting"; until: number }
  | { kind: "ended"; end: End };

/** The attach was refused for good, so that trying again would not help. */
export class RefusedError extends Error {
  constructor(override readonly cause: unknown) {
    super("the terminal cannot be attached to");
    this.name = "RefusedError";
  }
}

/** What receives output. Everything is done in the order of the calls. */
export interface Screen {
  reset(cols: number, rows: number): void;
  resize(cols: number, rows: number): void;
  /** `replayed` bytes draw an old screen: nothing in them may be answered. */
  write(bytes: Uint8Array, replayed: boolean, parsed: () => void): void;
  /** Whether what programs ask in output from here on is this terminal's to answer. */
  answer(on: boolean): void;
  /** Calls back when everything before has been done. */
  settled(done: () => void): void;
}

export interface ConnectionOptions {
  /** Opens a socket, with these parameters in the query of the attach. */
  open(query: Record<string, string>): Promise<Socket>;
  screen: Screen;
  /** Names this client across reconnects. */
  client: string;
  onStatus(status: Status): void;
  /** Somebody has come or gone, or types now. */
  onViewers(viewers: Viewers): void;
  /** The terminal treats what is typed in another way now. */
  onLine(line: Line): void;
  /** The terminal has what was typed before this sequence. */
  onDelivered(sequence: number): void;
  /** A message takes so many milliseconds to the terminal and back. */
  onRoundTrip(milliseconds: number): void;
  /** A sentence for the person at the terminal. */
  onNotice(code: string, message: string): void;
  /** Whether somebody can see the terminal. */
  visible(): boolean;
  random?: () => number;
}

/** What an attach asked for. */
interface Asked {
  since: number | null;
  size: { cols: number; rows: number };
}

/** A server that has accepted a connection says hello within this time. */
const HELLO_WITHIN_MS = 30_000;

/** A connection that has lasted this long was a success. */
const STABLE_AFTER_MS = 5_000;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #input = new InputQueue();
  #status: Status = { kind: "idle" };
  #size = { cols: 80, rows: 24 };
  #since: number | null = null;
  /** The run of the program that was seen last, to which `#since` belongs. */
  #run: string | null = null;
  #restart = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stableTimer: ReturnType<typeof setTimeout> | undefined;
  #socket: Socket | null = null;
  #live: { inbound: Inbound; pacer: AckPacer; unparsed: number } | null = null;
  #liveness: Liveness | null = null;
  #roundTrip: RoundTrip | null = null;
  #pings = 0;
  #viewers: Viewers | null = null;
  /** Somebody else was typing when the connection was lost. */
  #yields = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Connects for the first time, or anew after the end. */
  start(size: { cols: number; rows: number }, restart = false): void {
    this.#drop();
    this.#size = size;
    this.#restart = restart;
    this.#yields = false;
    this.#failures = 0;
    // What follows an end is another program: its output does not continue what
    // is on the screen, and what was typed before was not meant for it.
    this.#since = null;
    this.#run = null;
    this.#input.clear();
    void this.#connect();
  }

  /** Leaves; the terminal goes on without this viewer. */
  close(): void {
    this.#drop();
    this.#set({ kind: "idle" });
  }

  /** Does not wait any longer: the network is back, or the person asked. */
  retryNow(): void {
    if (this.#status.kind !== "waiting") return;
    clearTimeout(this.#timer);
    void this.#connect();
  }

  /** Becomes the one who types, whose size the terminal has, unless it is so. */
  take(): void {
    const viewers = this.#viewers;
    if (this.#status.kind !== "connected" || this.#status.role === "reader") return;
    if (!viewers || viewers.writer === viewers.you) return;
    // The server says so as well; until then, once is enough.
    this.#viewers = null;
    this.#yields = false;
    this.#send({ type: "role", role: "writer" });
  }

  /**
   * Sends what was typed, now or as soon as there is a connection. Returns the
   * sequence after it, or null when it was dropped.
   */
  type(bytes: Uint8Array): number | null {
    this.take();
    const { kind } = this.#status;
    if (kind === "ended" || kind === "idle") return null;
    if (this.#status.kind === "connected" && this.#status.role === "reader") return null;
    const connected = kind === "connected";
    if (!this.#input.push(bytes, connected ? CONNECTED_LIMIT : AWAY_LIMIT)) {
      this.#options.onNotice(
        "input_dropped",
        connected
          ? "The paste is too large and was not sent."
          : "There is no connection, and too much has been typed: the last part was dropped.",
      );
      return null;
    }
    this.#sendInput();
    return this.#input.end;
  }

  /** The viewer has this size; the server answers with the terminal's. */
  resize(cols: number, rows: number): void {
    this.#size = { cols, rows };
    if (this.#status.kind === "connected" && this.#status.role === "writer") {
      this.#send({ type: "resize", cols, rows });
    }
  }

  async #connect(): Promise<void> {
    this.#drop();
    this.#set({ kind: "connecting" });
    const attempt = this.#status;
    const size = this.#size;
    const query: Record<string, string> = {
      cols: String(size.cols),
      rows: String(size.rows),
      client: this.#options.client,
    };
    const since = this.#since;
    if (since !== null) query.since = String(since);
    if (since !== null && this.#run !== null) query.run = this.#run;
    if (this.#restart) query.restart = "true";
    if (this.#yields) query.yield = "true";

    let socket: Socket;
    try {
      socket = await this.#options.open(query);
    } catch (error) {
      if (this.#status !== attempt) return;
      if (error instanceof RefusedError) this.#end({ kind: "refused", error: error.cause });
      else this.#wait();
      return;
    }
    if (this.#status !== attempt) {
      socket.close();
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    socket.onmessage = ({ data }) => this.#receive(data, { since, size });
    this.#timer = setTimeout(() => this.#lost(), HELLO_WITHIN_MS);
  }

  #receive(data: unknown, asked: Asked): void {
    this.#liveness?.heard();
    try {
      if (typeof data === "string") {
        const message = parseServerMessage(data);
        if (message?.type === "hello") this.#hello(message, asked);
        else if (message) this.#message(message);
      } else if (data instanceof ArrayBuffer) {
        if (!this.#live) throw new Error("a frame before hello");
        this.#step(this.#live.inbound.frame(decodeFrame(new Uint8Array(data))));
      }
    } catch (error) {
      // What is on the screen can no longer be trusted: start over from a
      // snapshot, at the pace of a failed attempt.
      this.#live = null;
      this.#since = null;
      this.#options.onNotice("protocol", `The connection was restarted: ${String(error)}`);
      this.#lost();
    }
  }

  #hello(hello: Hello, asked: Asked): void {
    if (this.#live) throw new Error("hello twice");
    clearTimeout(this.#timer);
    const inbound = new Inbound(hello, asked.since);
    this.#live = { inbound, pacer: new AckPacer(hello.offset, hello.window), unparsed: 0 };
    this.#restart = false;
    this.#resumeInput(hello);
    this.#liveness = new Liveness(
      () => this.#ping(),
      () => this.#silent(),
    );
    this.#roundTrip = new RoundTrip(() => this.#ping(), this.#options.visible, this.#options.onRoundTrip);
    this.#stableTimer = setTimeout(() => (this.#failures = 0), STABLE_AFTER_MS);
    for (const step of inbound.started) this.#step(step);
    this.#set({ kind: "connected", role: hello.role });
    // The terminal was given the size that was asked for; the page may have another by now.
    if (hello.role === "writer" && this.#size !== asked.size) this.#send({ type: "resize", ...this.#size });
    this.#sendInput();
  }

  /** Goes on with the input where the server has it, unless it was typed for another program. */
  #resumeInput(hello: Hello): void {
    const another = this.#run !== null && this.#run !== hello.run;
    this.#run = hello.run;
    const kept = this.#input.length;
    if (another) this.#input.clear();
    const resumed = this.#input.resume(hello.sequence);
    if (kept > 0 && (another || !resumed)) {
      this.#options.onNotice("input_dropped", "What was typed while there was no connection was dropped.");
    }
  }

  #message(message: ServerMessage): void {
    if (!this.#live) throw new Error(`${message.type} before hello`);
    if (message.type === "ack") {
      this.#input.acknowledge(message.sequence);
      this.#options.onDelivered(message.sequence);
      this.#sendInput();
    } else if (message.type === "pong") {
      this.#roundTrip?.pong(message.id);
    } else if (message.type === "notice") {
      this.#options.onNotice(message.code, message.message);
    } else if (message.type === "viewers") {
      this.#viewers = message;
      this.#options.screen.answer(message.writer === message.you);
      this.#options.onViewers(message);
    } else if (message.type === "line") {
      this.#options.onLine(message);
    } else if (message.type === "exit") {
      this.#end({ kind: "exit", exit: message });
    } else {
      for (const step of this.#live.inbound.message(message)) this.#step(step);
    }
  }

  #step(step: Step): void {
    const live = this.#live!;
    const { screen } = this.#options;
    switch (step.kind) {
      case "reset":
        screen.reset(step.cols, step.rows);
        break;
      case "resize":
        screen.resize(step.cols, step.rows);
        break;
      case "gap":
        this.#options.onNotice("gap", `${step.to - step.from} bytes of output are no longer kept.`);
        break;
      case "output":
        live.unparsed += 1;
        screen.write(step.bytes, false, () => {
          live.unparsed -= 1;
          if (this.#live === live && live.pacer.parsed(step.end)) {
            this.#send({ type: "ack", offset: step.end });
          }
        });
        break;
      case "snapshot":
        live.unparsed += 1;
        screen.write(step.bytes, true, () => {
          live.unparsed -= 1;
          if (this.#live !== live || !step.last) return;
          live.pacer.snapshotParsed(step.offset);
          this.#send({ type: "ack", offset: step.offset });
        });
        break;
    }
  }

  #sendInput(): void {
    if (this.#status.kind !== "connected" || this.#status.role === "reader") return;
    for (let frame = this.#input.next(); frame; frame = this.#input.next()) {
      this.#socket?.send(
        encodeFrame({ type: "input", position: frame.sequence, payload: frame.bytes }),
      );
    }
  }

  #send(message: ClientMessage): void {
    this.#socket?.send(encodeClientMessage(message));
  }

  #ping(): number {
    this.#pings += 1;
    this.#send({ type: "ping", id: this.#pings });
    return this.#pings;
  }

  /** Nothing was heard; but the answer may be waiting behind our own parser. */
  #silent(): void {
    if (this.#live && this.#live.unparsed > 0) this.#liveness?.heard();
    else this.#lost();
  }

  #closed(code: number, reason: string): void {
    if (isFinal(code)) this.#end({ kind: "closed", code, reason });
    else this.#lost();
  }

  #lost(): void {
    this.#drop();
    this.#wait();
  }

  #wait(): void {
    const delay = backoffDelay(this.#failures, this.#options.random);
    this.#failures += 1;
    this.#set({ kind: "waiting", until: Date.now() + delay });
    this.#timer = setTimeout(() => void this.#connect(), delay);
  }

  /** Shows the end only after the last output is on the screen. */
  #end(end: End): void {
    this.#drop();
    const ending: Status = { kind: "ended", end };
    this.#status = ending;
    this.#options.screen.settled(() => {
      if (this.#status === ending) this.#options.onStatus(ending);
    });
  }

  /** Forgets the socket, but not where the terminal was. */
  #drop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#stableTimer);
    this.#liveness?.stop();
    this.#liveness = null;
    this.#roundTrip?.stop();
    this.#roundTrip = null;
    if (this.#live) this.#since = this.#live.inbound.resumeAt;
    this.#live = null;
    if (this.#viewers) this.#yields = this.#viewers.writer !== this.#viewers.you;
    this.#viewers = null;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #set(status: Status): void {
    this.#status = status;
    this.#options.onStatus(status);
  }
}
