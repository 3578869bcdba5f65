import { expect, test } from "vitest";
import { softKeySequence, withControl } from "../src/lib/terminal/softkeys";

test("arrows take the form that the program has asked for", () => {
  expect(softKeySequence("ArrowLeft", false)).toBe("\x1b[D");
  expect(softKeySequence("ArrowLeft", true)).toBe("\x1bOD");
  expect(softKeySequence("Escape", true)).toBe("\x1b");
  expect(softKeySequence("Tab", false)).toBe("\t");
});

test.each([
  ["c", "\x03"],
  ["C", "\x03"],
  ["@", "\x00"],
  ["[", "\x1b"],
  ["_", "\x1f"],
  ["1", "1"],
  ["é", "é"],
  ["pasted", "pasted"],
])("Ctrl with %s", (typed, sent) => {
  expect(withControl(typed)).toBe(sent);
});
