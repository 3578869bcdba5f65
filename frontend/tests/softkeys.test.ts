import { expect, test } from "vitest";
import { softKeySequence, withControl, withModifiers } from "../src/lib/terminal/softkeys";

const CONTROL = { control: true, alt: false };
const ALT = { control: false, alt: true };
const BOTH = { control: true, alt: true };

test("arrows take the form that the program has asked for", () => {
  expect(softKeySequence("ArrowLeft", false)).toBe("\x1b[D");
  expect(softKeySequence("ArrowLeft", true)).toBe("\x1bOD");
  expect(softKeySequence("Home", false)).toBe("\x1b[H");
  expect(softKeySequence("End", true)).toBe("\x1bOF");
  expect(softKeySequence("PageUp", true)).toBe("\x1b[5~");
  expect(softKeySequence("Escape", true)).toBe("\x1b");
  expect(softKeySequence("Tab", false)).toBe("\t");
});

test("keys say which modifiers are held", () => {
  expect(softKeySequence("ArrowRight", true, CONTROL)).toBe("\x1b[1;5C");
  expect(softKeySequence("ArrowRight", true, ALT)).toBe("\x1b[1;3C");
  expect(softKeySequence("Home", false, BOTH)).toBe("\x1b[1;7H");
  expect(softKeySequence("Delete", false, CONTROL)).toBe("\x1b[3;5~");
  expect(softKeySequence("Tab", false, ALT)).toBe("\x1b\t");
});

test.each([
  ["c", "\x03"],
  ["C", "\x03"],
  ["@", "\x00"],
  [" ", "\x00"],
  ["[", "\x1b"],
  ["_", "\x1f"],
  ["/", "\x1f"],
  ["1", "1"],
  ["é", "é"],
  ["pasted", "pasted"],
])("Ctrl with %s", (typed, sent) => {
  expect(withControl(typed)).toBe(sent);
});

test("Alt is an escape before the one character", () => {
  expect(withModifiers("b", ALT)).toBe("\x1bb");
  expect(withModifiers("é", ALT)).toBe("\x1bé");
  expect(withModifiers("b", BOTH)).toBe("\x1b\x02");
  expect(withModifiers("a word", BOTH)).toBe("a word");
});
