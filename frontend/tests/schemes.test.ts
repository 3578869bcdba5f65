import { describe, expect, test } from "vitest";
import { DARK_SCHEMES, LIGHT_SCHEMES, schemes, type SchemeName } from "../src/lib/terminal/schemes";

const COLOURS = ["red", "green", "yellow", "blue", "magenta", "cyan"] as const;
const BRIGHT = ["brightRed", "brightGreen", "brightYellow", "brightBlue", "brightMagenta", "brightCyan"] as const;

/** The relative luminance of WCAG 2. */
function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((start) => {
    const part = parseInt(colour.slice(start, start + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

/** The contrast of WCAG 2, from 1 to 21. */
function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light! + 0.05) / (dark! + 0.05);
}

const all: [string, boolean, SchemeName][] = [
  ...DARK_SCHEMES.map((name): [string, boolean, SchemeName] => ["dark", true, name]),
  ...LIGHT_SCHEMES.map((name): [string, boolean, SchemeName] => ["light", false, name]),
];

describe.each(all)("%s: %#", (_kind, dark, name) => {
  const theme = schemes(dark)[name]!.theme;
  const least = name === "contrast" ? 7 : 4.5;

  test(`${name} has a colour for everything`, () => {
    for (const [part, colour] of Object.entries(theme)) expect(colour, part).toMatch(/^#[\da-f]{6}([\da-f]{2})?$/);
    expect(luminance(theme.background!) < 0.2).toBe(dark);
  });

  test(`${name} can be read`, () => {
    const { background, foreground } = theme;
    expect(contrast(foreground!, background!)).toBeGreaterThan(7);
    for (const part of [...COLOURS, ...BRIGHT]) {
      expect(contrast(theme[part]!, background!), part).toBeGreaterThan(least);
    }
    // Comments are often in this one, and white as well as black is the background of bars.
    expect(contrast(theme.brightBlack!, background!), "brightBlack").toBeGreaterThan(4.5);
    expect(contrast(foreground!, theme.selectionBackground!), "selected").toBeGreaterThan(4.5);
    expect(contrast(theme.cursor!, background!), "cursor").toBeGreaterThan(4.5);
    expect(contrast(theme.cursorAccent!, theme.cursor!), "on the cursor").toBeGreaterThan(4.5);
  });
});
