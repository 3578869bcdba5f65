import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RefusedError } from "../src/lib/connection/connection";
import { Bench } from "./fake-socket";

const SIZE = { cols: 80, rows: 24 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Lets promises settle and timers of up to `ms` run. */
const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

async function connected(hello: Record<string, unknown> = {}): Promise<Bench> {
  const bench = new Bench();
  bench.connection.start(SIZE);
  await pass();
  bench.socket.hello(hello);
  return bench;
}

describe("connecting", () => {
  test("gives the size and the client, and becomes connected by hello", async () => {
    const bench = new Bench();
    bench.connection.start({ cols: 120, rows: 40 });
    await pass();
    expect(bench.socket.query).toEqual({ cols: "120", rows: "40", client: "c1" });
    expect(bench.status).toEqual({ kind: "connecting" });
    bench.socket.hello({ cols: 120, rows: 40 });
    expect(bench.status).toEqual({ kind: "connected", role: "writer" });
    expect(bench.screen.log).toEqual(["reset 120x40"]);
  });

  test("sends what was typed before hello, once", async () => {
    const bench = new Bench();
    bench.connection.start(SIZE);
    bench.type("ls\r");
    await pass();
    expect(bench.socket.input).toEqual([]);
    bench.socket.hello();
    expect(bench.socket.input).toEqual([{ position: 0, text: "ls\r" }]);
  });

  test("asks for its size again only when that has changed before hello", async () => {
    // The size in hello is an old one: it belongs to the offset.
    const bench = await connected({ cols: 100, rows: 30, start: "snapshot" });
    expect(bench.socket.messages).toEqual([]);
    bench.socket.drop();
    await pass(250);
    bench.connection.resize(90, 20);
    bench.socket.hello({ start: "snapshot" });
    expect(bench.socket.messages).toEqual([{ type: "resize", cols: 90, rows: 20 }]);
  });

  test("gives up on a server that never says hello", async () => {
    const bench = new Bench();
    bench.connection.start(SIZE);
    await pass(30_000);
    expect(bench.sockets[0]!.closed).toBe(true);
    expect(bench.status.kind).toBe("waiting");
  });

  test("does not try again what was refused for good", async () => {
    const bench = new Bench();
    bench.refusals = [new RefusedError("gone")];
    bench.connection.start(SIZE);
    await pass(60_000);
    expect(bench.status).toEqual({ kind: "ended", end: { kind: "refused", error: "gone" } });
    expect(bench.sockets).toEqual([]);
  });

  test("a socket that opens after leaving is closed", async () => {
    const bench = new Bench();
    bench.connection.start(SIZE);
    bench.connection.close();
    await pass();
    expect(bench.socket.closed).toBe(true);
    expect(bench.status).toEqual({ kind: "idle" });
  });
});

describe("a lost connection", () => {
  test("goes on at the next offset with the rest of the input", async () => {
    const bench = await connected();
    bench.socket.put("output", 0, "hello ");
    bench.type("ab");
    bench.socket.drop();
    bench.type("cd");
    await pass(250);
    expect(bench.sockets.length).toBe(2);
    expect(bench.socket.query).toMatchObject({ since: "6", run: "r1", client: "c1" });

    bench.socket.hello({ offset: 6, start: "resumed", sequence: 1 });
    bench.socket.put("output", 6, "world");
    expect(bench.socket.input).toEqual([{ position: 1, text: "bcd" }]);
    expect(bench.screen.log).toEqual(["reset 80x24", "output hello ", "resize 80x24", "output world"]);
  });

  test("waits longer each time, and briefly again after a good while", async () => {
    const bench = await connected();
    await pass(6000);
    bench.refusals = [new Error("down"), new Error("down")];
    bench.socket.drop();
    expect(bench.status).toEqual({ kind: "waiting", until: Date.now() + 250 });
    await pass(250);
    expect(bench.status).toEqual({ kind: "waiting", until: Date.now() + 500 });
    await pass(500);
    expect(bench.status).toEqual({ kind: "waiting", until: Date.now() + 1000 });
    await pass(1000);
    bench.socket.hello({ start: "snapshot" });
    await pass(6000);
    bench.socket.drop();
    expect(bench.status).toEqual({ kind: "waiting", until: Date.now() + 250 });
  });

  test("is not waited for when the person asks", async () => {
    const bench = await connected();
    bench.socket.drop();
    bench.connection.retryNow();
    await pass();
    expect(bench.sockets.length).toBe(2);
    await pass(1000);
    expect(bench.sockets.length).toBe(2);
  });

  test("keeps 64 KiB of what is typed meanwhile, and says so when more is dropped", async () => {
    const bench = await connected();
    bench.socket.drop();
    bench.type("x".repeat(65_536));
    expect(bench.notices).toEqual([]);
    bench.type("y");
    expect(bench.notices).toEqual(["input_dropped"]);
    await pass(250);
    bench.socket.hello({ start: "snapshot" });
    expect(bench.socket.input.map(({ text }) => text).join("")).toBe("x".repeat(65_536));
  });

  test("is noticed when the server has fallen silent", async () => {
    const bench = await connected();
    await pass(15_000);
    expect(bench.socket.messages).toEqual([{ type: "ping", id: 1 }]);
    bench.socket.say({ type: "pong", id: 1 });
    await pass(15_000);
    expect(bench.status.kind).toBe("connected");
    await pass(10_000);
    expect(bench.status.kind).toBe("waiting");
    expect(bench.sockets[0]!.closed).toBe(true);
  });

  test("is not one when the silence is our own slow parser", async () => {
    const bench = await connected();
    bench.screen.stalled = [];
    bench.socket.put("output", 0, "slow");
    await pass(60_000);
    expect(bench.status.kind).toBe("connected");
  });
});

describe("a snapshot", () => {
  test("resets, draws and is acknowledged at its offset", async () => {
    const bench = await connected({ start: "snapshot", offset: 500 });
    bench.socket.say({ type: "snapshot", offset: 500, cols: 90, rows: 30, length: 5 });
    bench.socket.put("snapshot", 500, "abc");
    expect(bench.socket.acks()).toEqual([]);
    bench.socket.put("snapshot", 500, "de");
    expect(bench.socket.acks()).toEqual([500]);
    bench.socket.put("output", 500, "x");
    expect(bench.screen.log).toEqual(["reset 90x30", "snapshot abc", "snapshot de", "output x"]);
  });

  test("takes the place of output for a viewer that fell behind", async () => {
    const bench = await connected();
    bench.socket.put("output", 0, "abc");
    bench.socket.say({ type: "snapshot", offset: 9000, cols: 80, rows: 24, length: 1 });
    bench.socket.put("snapshot", 9000, "s");
    bench.socket.put("output", 9000, "y");
    bench.socket.drop();
    await pass(250);
    expect(bench.socket.query.since).toBe("9001");
  });

  test("that was cut off is not resumed after", async () => {
    const bench = await connected({ start: "snapshot", offset: 500 });
    bench.socket.say({ type: "snapshot", offset: 500, cols: 80, rows: 24, length: 5 });
    bench.socket.put("snapshot", 500, "abc");
    bench.socket.drop();
    await pass(250);
    expect(bench.socket.query.since).toBeUndefined();
  });
});

describe("order", () => {
  test("a gap is told, and output goes on after it", async () => {
    const bench = await connected({ start: "gap", offset: 20 });
    bench.socket.say({ type: "gap", from: 0, to: 20 });
    bench.socket.put("output", 20, "x");
    expect(bench.notices).toEqual(["gap"]);
    expect(bench.screen.log.at(-1)).toBe("output x");
  });

  test("a resize comes between the outputs that it separates", async () => {
    const bench = await connected();
    bench.socket.put("output", 0, "a");
    bench.socket.say({ type: "resize", cols: 100, rows: 30, offset: 1 });
    bench.socket.put("output", 1, "b");
    expect(bench.screen.log.slice(1)).toEqual(["output a", "resize 100x30", "output b"]);
  });

  test.each([
    ["a hole", (bench: Bench) => bench.socket.put("output", 5, "x")],
    ["a frame of a snapshot that was not announced", (bench: Bench) => bench.socket.put("snapshot", 0, "x")],
    ["input from the server", (bench: Bench) => bench.socket.put("input", 0, "x")],
    ["hello twice", (bench: Bench) => bench.socket.hello()],
    ["a message without a field", (bench: Bench) => bench.socket.say({ type: "resize", cols: 1 })],
  ])("after %s it starts over from a snapshot", async (_name, act) => {
    const bench = await connected();
    act(bench);
    expect(bench.status.kind).toBe("waiting");
    expect(bench.sockets[0]!.closed).toBe(true);
    await pass(250);
    expect(bench.socket.query.since).toBeUndefined();
  });

  test("the next attach names the run that was seen last", async () => {
    const bench = await connected();
    bench.socket.drop();
    await pass(250);
    bench.socket.hello({ start: "snapshot", run: "r2", offset: 9 });
    bench.socket.say({ type: "snapshot", offset: 9, cols: 80, rows: 24, length: 0 });
    bench.socket.drop();
    await pass(500);
    expect(bench.socket.query).toMatchObject({ since: "9", run: "r2" });
  });
});

describe("what was typed while away", () => {
  test.each(["fresh", "snapshot"])("is never given to another program (%s), and that is told", async (start) => {
    const bench = await connected();
    bench.socket.drop();
    bench.type("rm -r build\r");
    await pass(250);
    bench.socket.hello({ start, run: "r2", sequence: 0 });
    expect(bench.socket.input).toEqual([]);
    expect(bench.notices).toEqual(["input_dropped"]);
    bench.type("x");
    expect(bench.socket.input).toEqual([{ position: 0, text: "x" }]);
  });

  test("is given to the same program behind a snapshot too", async () => {
    const bench = await connected();
    bench.socket.drop();
    bench.type("ls\r");
    await pass(250);
    bench.socket.hello({ start: "snapshot" });
    expect(bench.socket.input).toEqual([{ position: 0, text: "ls\r" }]);
    expect(bench.notices).toEqual([]);
  });
});

describe("flow", () => {
  test("acknowledges each quarter of the window, when parsed", async () => {
    const bench = await connected({ window: 4096 });
    bench.socket.put("output", 0, "x".repeat(1000));
    expect(bench.socket.acks()).toEqual([]);
    bench.screen.stalled = [];
    bench.socket.put("output", 1000, "x".repeat(100));
    expect(bench.socket.acks()).toEqual([]);
    bench.screen.catchUp();
    expect(bench.socket.acks()).toEqual([1100]);
    bench.socket.put("output", 1100, "x".repeat(1024));
    expect(bench.socket.acks()).toEqual([1100, 2124]);
  });

  test("what an earlier connection brought is not acknowledged to the next", async () => {
    const bench = await connected({ window: 400 });
    bench.screen.stalled = [];
    bench.socket.put("output", 0, "x".repeat(300));
    bench.socket.drop();
    await pass(250);
    bench.socket.hello({ start: "resumed", offset: 300, window: 400 });
    bench.screen.catchUp();
    expect(bench.socket.acks()).toEqual([]);
  });
});

describe("the end", () => {
  test("exit is shown after the last output and never retried", async () => {
    const bench = await connected();
    bench.screen.stalled = [];
    bench.socket.put("output", 0, "bye");
    const exit = { type: "exit", code: 7, signal: null, reason: "exited", offset: 3 };
    bench.socket.say(exit);
    bench.socket.drop(4000);
    expect(bench.status.kind).toBe("connected");
    bench.screen.catchUp();
    expect(bench.status).toEqual({ kind: "ended", end: { kind: "exit", exit } });
    await pass(60_000);
    expect(bench.sockets.length).toBe(1);
  });

  test.each([4000, 4001, 4002, 4003, 4099])("code %d is final", async (code) => {
    const bench = await connected();
    bench.socket.drop(code, "why");
    await pass(60_000);
    expect(bench.status).toEqual({ kind: "ended", end: { kind: "closed", code, reason: "why" } });
    expect(bench.sockets.length).toBe(1);
  });

  test.each([1000, 1001, 1006, 1011, 4100, 4101, 4102, 4999])("code %d is retried", async (code) => {
    const bench = await connected();
    bench.socket.drop(code);
    expect(bench.status.kind).toBe("waiting");
    await pass(250);
    expect(bench.sockets.length).toBe(2);
  });

  test("a restart asks for it until hello, from the start, with nothing of the old input", async () => {
    const bench = await connected();
    bench.socket.put("output", 0, "abc");
    bench.type("left over");
    bench.socket.say({ type: "exit", code: 0, signal: null, reason: "exited", offset: 3 });
    bench.connection.start(SIZE, true);
    await pass();
    expect(bench.socket.query).toMatchObject({ restart: "true" });
    expect(bench.socket.query.since).toBeUndefined();
    bench.socket.drop();
    await pass(250);
    expect(bench.socket.query.restart).toBe("true");
    bench.socket.hello();
    expect(bench.socket.input).toEqual([]);
    bench.socket.drop();
    await pass(500);
    expect(bench.socket.query.restart).toBeUndefined();
  });
});

describe("a reader", () => {
  test("sends neither input nor its size", async () => {
    const bench = await connected({ role: "reader" });
    bench.type("x");
    bench.connection.resize(10, 10);
    expect(bench.socket.input).toEqual([]);
    expect(bench.socket.messages).toEqual([]);
  });
});

describe("several viewers", () => {
  const viewers = (writer: number | null) => ({
    type: "viewers",
    you: 3,
    writer,
    count: 2,
    viewers: [
      { viewer: 3, role: "writer" },
      { viewer: 4, role: "writer" },
    ],
  });

  test("answers only as the writer, from the place in the output on", async () => {
    const bench = await connected();
    bench.socket.put("output", 0, "a");
    bench.socket.say(viewers(4));
    bench.socket.put("output", 1, "b");
    bench.socket.say(viewers(3));
    expect(bench.screen.log.slice(1)).toEqual(["output a", "answers false", "output b", "answers true"]);
    expect(bench.writers).toEqual([4, 3]);
  });

  test("hears what the terminal does with what is typed", async () => {
    const bench = await connected();
    bench.socket.say({ type: "line", echo: true, canonical: true });
    bench.socket.say({ type: "line", echo: false, canonical: true });
    expect(bench.echoes).toEqual([true, false]);
  });

  test("whoever types takes over, once", async () => {
    const bench = await connected();
    bench.socket.say(viewers(4));
    bench.type("l");
    bench.type("s");
    expect(bench.socket.messages).toEqual([{ type: "role", role: "writer" }]);
    expect(bench.socket.input.map(({ text }) => text)).toEqual(["l", "s"]);
    bench.socket.say(viewers(3));
    bench.type("\r");
    expect(bench.socket.messages.length).toBe(1);
  });

  test("whoever did not type comes back without taking over", async () => {
    const bench = await connected();
    bench.socket.say(viewers(4));
    bench.socket.drop();
    await pass(250);
    expect(bench.socket.query.yield).toBe("true");
    bench.socket.hello({ start: "snapshot" });
    bench.socket.say(viewers(3));
    bench.socket.drop();
    await pass(500);
    expect(bench.socket.query.yield).toBeUndefined();
  });

  test("a reader takes nothing over", async () => {
    const bench = await connected({ role: "reader" });
    bench.socket.say(viewers(4));
    bench.connection.take();
    bench.type("ls");
    expect([bench.socket.messages, bench.socket.input]).toEqual([[], []]);
  });
});

describe("the round trip", () => {
  test("is measured while the page can be seen", async () => {
    const bench = new Bench();
    bench.visible = true;
    bench.connection.start(SIZE);
    await pass();
    bench.socket.hello();
    await pass();
    expect(bench.socket.messages).toEqual([{ type: "ping", id: 1 }]);
    await pass(80);
    bench.socket.say({ type: "pong", id: 1 });
    expect(bench.roundTrips).toEqual([80]);
    bench.visible = false;
    await pass(14_000);
    expect(bench.socket.messages).toHaveLength(1);
  });

  test("is the middle one of the last three, and at least as long as an answer takes", async () => {
    const bench = new Bench();
    bench.visible = true;
    bench.connection.start(SIZE);
    await pass();
    bench.socket.hello();
    const answered = async (after: number) => {
      const before = bench.socket.messages.length;
      for (let waits = 0; bench.socket.messages.length === before && waits < 1000; waits += 1) await pass(10);
      await pass(after);
      bench.socket.say({ type: "pong", id: bench.socket.messages.at(-1)!.id });
      return bench.roundTrips.at(-1)!;
    };
    await answered(10);
    await answered(500);
    expect(Math.abs((await answered(12)) - 12)).toBeLessThan(11);
    const before = bench.socket.messages.length;
    await pass(5000);
    expect(bench.socket.messages).toHaveLength(before + 1);
    await pass(5000);
    expect(bench.roundTrips.at(-1)).toBeGreaterThanOrEqual(4900);
    expect(bench.socket.messages).toHaveLength(before + 1);
  });
});
