import { expect, test } from "vitest";
import { isReport } from "../src/lib/terminal/reports";

test.each(["\x1b[?62;4;9;22c", "\x1b[5;1R", "\x1b[?1;0;256S", "\x1b[8;24;80t", "\x1b]10;rgb:00/00/00\x1b\\", "\x1b[I"])(
  "%j is said by the terminal",
  (data) => expect(isReport(data)).toBe(true),
);

test.each(["a", "\x1b", "\x1b[A", "\x1bOS", "\x1b[1;2S", "\x1b[200~a\x1b[201~"])("%j is typed", (data) =>
  expect(isReport(data)).toBe(false),
);
