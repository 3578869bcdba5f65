import { Connection, type Screen, type Socket, type Status } from "../src/lib/connection/connection";
import { decodeFrame, encodeFrame, type FrameType } from "../src/lib/wire/frame";

/** The server's side of a socket, in the hands of a test. */
export class FakeSocket implements Socket {
  binaryType = "";
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  closed = false;
  readonly messages: Record<string, unknown>[] = [];
  readonly input: { position: number; text: string }[] = [];

  constructor(readonly query: Record<string, string>) {}

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (typeof data === "string") {
      this.messages.push(JSON.parse(data) as Record<string, unknown>);
    } else {
      const { position, payload } = decodeFrame(data);
      this.input.push({ position, text: new TextDecoder().decode(payload) });
    }
  }

  close(): void {
    this.closed = true;
  }

  say(message: Record<string, unknown>): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  hello(fields: Record<string, unknown> = {}): void {
    this.say({
      type: "hello",
      terminal: "main",
      role: "writer",
      cols: 80,
      rows: 24,
      offset: 0,
      start: "fresh",
      run: "r1",
      sequence: 0,
      window: 4096,
      ...fields,
    });
  }

  put(type: FrameType, position: number, payload: string): void {
    const frame = encodeFrame({ type, position, payload: new TextEncoder().encode(payload) });
    this.onmessage?.({ data: frame.buffer });
  }

  drop(code = 1006, reason = ""): void {
    this.onclose?.({ code, reason });
  }

  acks(): unknown[] {
    return this.messages.filter(({ type }) => type === "ack").map(({ offset }) => offset);
  }
}

/** Writes down what it is told, and parses at once unless told to wait. */
export class FakeScreen implements Screen {
  readonly log: string[] = [];
  stalled: (() => void)[] | null = null;

  reset(cols: number, rows: number): void {
    this.log.push(`reset ${cols}x${rows}`);
  }

  resize(cols: number, rows: number): void {
    this.log.push(`resize ${cols}x${rows}`);
  }

  write(bytes: Uint8Array, replayed: boolean, parsed: () => void): void {
    this.log.push(`${replayed ? "snapshot" : "output"} ${new TextDecoder().decode(bytes)}`);
    this.#later(parsed);
  }

  answer(on: boolean): void {
    this.log.push(`answers ${on}`);
  }

  settled(done: () => void): void {
    this.#later(done);
  }

  catchUp(): void {
    const tasks = this.stalled ?? [];
    this.stalled = null;
    for (const task of tasks) task();
  }

  #later(task: () => void): void {
    if (this.stalled) this.stalled.push(task);
    else task();
  }
}

/** A connection with a fake of everything around it. */
export class Bench {
  readonly sockets: FakeSocket[] = [];
  readonly screen = new FakeScreen();
  readonly statuses: Status[] = [];
  readonly writers: (number | null)[] = [];
  readonly echoes: boolean[] = [];
  readonly notices: string[] = [];
  readonly delivered: number[] = [];
  readonly roundTrips: number[] = [];
  /** Whether somebody sees the page; with it, round trips are measured. */
  visible = false;
  /** What the next attempts to open throw. */
  refusals: unknown[] = [];

  readonly connection = new Connection({
    open: async (query) => {
      if (this.refusals.length > 0) throw this.refusals.shift();
      const socket = new FakeSocket(query);
      this.sockets.push(socket);
      return socket;
    },
    screen: this.screen,
    client: "c1",
    onStatus: (status) => this.statuses.push(status),
    onViewers: ({ writer }) => this.writers.push(writer),
    onLine: ({ echo }) => this.echoes.push(echo),
    onDelivered: (sequence) => this.delivered.push(sequence),
    onRoundTrip: (milliseconds) => this.roundTrips.push(milliseconds),
    onNotice: (code) => this.notices.push(code),
    visible: () => this.visible,
    random: () => 1,
  });

  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  get status(): Status {
    return this.statuses.at(-1)!;
  }

  type(text: string): void {
    this.connection.type(new TextEncoder().encode(text));
  }
}
