import { describe, expect, test } from "vitest";
import { preferences, RANGES, type PreferenceName } from "../src/lib/preferences";
import { FONT_FAMILIES, fontStack, isFontFamily } from "../src/lib/terminal/fonts";

const known = preferences(false);

test("what is usual can be stored and read again", () => {
  for (const [name, { usual, read }] of Object.entries(known)) {
    expect(read(String(usual)), name).toBe(usual);
  }
});

test.each<[PreferenceName, string[]]>([
  ["theme", ["", "blue", "Dark", "dark "]],
  ["darkColours", ["paper", "", "constructor", "__proto__"]],
  ["lightColours", ["harbour"]],
  ["fontFamily", ['"', "x; color: red", "url(x)", "a\\b", "<b>", " Menlo", "x".repeat(61)]],
  ["fontSize", ["", " ", "8", "29", "12.5", "NaN", "Infinity", "0x", "14px"]],
  ["lineHeight", ["0.9", "1.7", "wide", ""]],
  ["cursorShape", ["beam"]],
  ["cursorBlink", ["", "1", "yes", "TRUE"]],
  ["scrollback", ["-1", "50001", "1e9", "1.5", ""]],
  ["rightClick", ["copy"]],
  ["openLinks", ["never"]],
  ["localEcho", ["true"]],
])("%s refuses what is not valid", (name, values) => {
  for (const value of values) expect(known[name].read(value), JSON.stringify(value)).toBeUndefined();
});

test("the limits themselves are valid", () => {
  for (const name of ["fontSize", "lineHeight", "scrollback"] as const) {
    expect(known[name].read(String(RANGES[name].least))).toBe(RANGES[name].least);
    expect(known[name].read(String(RANGES[name].most))).toBe(RANGES[name].most);
  }
});

test("a cursor does not blink for those who want less motion, unless they choose it", () => {
  expect(preferences(true).cursorBlink.usual).toBe(false);
  expect(preferences(true).cursorBlink.read("true")).toBe(true);
});

describe("fonts", () => {
  test("every family of the list can be chosen", () => {
    for (const family of FONT_FAMILIES) expect(isFontFamily(family), family).toBe(true);
    expect(isFontFamily("源ノ角ゴシック Code JP")).toBe(true);
  });

  test("behind the chosen one are those that are used where it is missing", () => {
    expect(fontStack("Hack")).toMatch(/^"Hack", .*monospace$/);
    expect(fontStack("")).not.toContain('""');
  });
});
