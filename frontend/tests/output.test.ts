import { Terminal } from "@xterm/headless";
import { expect, test } from "vitest";
import { OutputQueue, type OutputTarget } from "../src/lib/terminal/output";
import { isReport } from "../src/lib/terminal/reports";

const bytes = (text: string) => new TextEncoder().encode(text);
const nothing = () => undefined;

function line(terminal: Terminal, row: number): string {
  return terminal.buffer.active.getLine(row)!.translateToString(true);
}

test("a resize waits for the output before it", async () => {
  const terminal = new Terminal({ cols: 10, rows: 4, allowProposedApi: true });
  const queue = new OutputQueue(terminal);
  // The corner is another one after the resize.
  queue.write(bytes("\x1b[999;999Ha"), false, nothing);
  queue.resize(20, 6);
  queue.write(bytes("\x1b[999;999Hb"), false, nothing);
  await new Promise<void>((resolve) => queue.settled(resolve));
  expect(line(terminal, 3)).toBe(`${" ".repeat(9)}a`);
  expect(line(terminal, 5)).toBe(`${" ".repeat(19)}b`);
});

test("a reset clears what came before and nothing after", async () => {
  const terminal = new Terminal({ cols: 10, rows: 4, allowProposedApi: true });
  const queue = new OutputQueue(terminal);
  queue.write(bytes("old\x1b[7l"), false, nothing);
  queue.reset(12, 5);
  queue.write(bytes("new"), true, nothing);
  await new Promise<void>((resolve) => queue.settled(resolve));
  expect([terminal.cols, terminal.rows, line(terminal, 0)]).toEqual([12, 5, "new"]);
});

test("a character that comes in parts is not lost", async () => {
  for (const text of ["—“x”", "🚀é…", "👩\u200d🚀"]) {
    for (const size of [1, 2, 3]) {
      const terminal = new Terminal({ cols: 10, rows: 4, allowProposedApi: true });
      const queue = new OutputQueue(terminal);
      const all = bytes(text);
      for (let at = 0; at < all.length; at += size) {
        queue.write(all.subarray(at, at + size), false, nothing);
      }
      await new Promise<void>((resolve) => queue.settled(resolve));
      expect(line(terminal, 0)).toBe(text);
    }
  }
});

test("a reset forgets a character that had begun", async () => {
  const terminal = new Terminal({ cols: 10, rows: 4, allowProposedApi: true });
  const queue = new OutputQueue(terminal);
  queue.write(Uint8Array.of(0xe2, 0x80), false, nothing);
  queue.reset(10, 4);
  queue.write(bytes("new"), false, nothing);
  await new Promise<void>((resolve) => queue.settled(resolve));
  expect(line(terminal, 0)).toBe("new");
});

test("everything happens in order, and replaying lasts as long as its bytes", () => {
  const log: string[] = [];
  const callbacks: (() => void)[] = [];
  const target: OutputTarget = {
    write: (data, done) => {
      log.push(new TextDecoder().decode(data));
      callbacks.push(done);
    },
    resize: (cols, rows) => log.push(`${cols}x${rows}`),
    reset: () => log.push("reset"),
  };
  const queue = new OutputQueue(target);
  queue.write(bytes("a"), true, nothing);
  queue.resize(1, 2);
  queue.write(bytes("b"), false, nothing);
  queue.settled(() => log.push("settled"));
  expect([log, queue.replaying]).toEqual([["a"], true]);
  callbacks.shift()!();
  expect([log, queue.replaying]).toEqual([["a", "1x2", "b"], false]);
  callbacks.shift()!();
  expect(log).toEqual(["a", "1x2", "b", "settled"]);
});

test.each([
  ["primary device attributes", "\x1b[?1;2c", true],
  ["secondary device attributes", "\x1b[>0;276;0c", true],
  ["the cursor's position", "\x1b[12;40R", true],
  ["status", "\x1b[0n", true],
  ["a mode", "\x1b[?2004;1$y", true],
  ["a colour", "\x1b]11;rgb:0d0d/1010/1414\x1b\\", true],
  ["the focus", "\x1b[I", true],
  ["a letter", "c", false],
  ["an arrow", "\x1b[A", false],
  ["a function key", "\x1b[15~", false],
  ["Alt-c", "\x1bc", false],
  ["a bracketed paste", "\x1b[200~text\x1b[201~", false],
])("%s: is that a report?", (_name, data, expected) => {
  expect(isReport(data)).toBe(expected);
});
