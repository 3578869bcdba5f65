import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MiddleClick } from "../src/lib/terminal/middle-click";
import { excerpt, hasLineEnd, preparePaste } from "../src/lib/terminal/paste";

describe("what a program is given", () => {
  test("lines end as they do when they are typed", () => {
    expect(preparePaste("a\nb\r\nc\rd", false)).toBe("a\rb\rc\rd");
    expect(preparePaste("a\nb", true)).toBe("\x1b[200~a\rb\x1b[201~");
  });

  test("a text cannot end the brackets and go on as if it were typed", () => {
    const sent = preparePaste("ls\x1b[201~\nrm -r x\n", true);
    expect(sent.indexOf("\x1b[201~")).toBe(sent.length - 6);
    expect(sent).toContain("rm -r x");
  });

  test("several lines, or one with its end, are asked about", () => {
    expect(["a", "", "a\tb"].map(hasLineEnd)).toEqual([false, false, false]);
    expect(["a\n", "a\rb", "a\r\nb"].map(hasLineEnd)).toEqual([true, true, true]);
  });
});

describe("an excerpt", () => {
  test("has the first lines, and counts the others", () => {
    expect(excerpt("a\nb\n", 3, 10)).toEqual({ shown: "a\nb", more: 0 });
    expect(excerpt("a\nb\nc", 2, 10)).toEqual({ shown: "a\nb", more: 1 });
    expect(excerpt("1\n".repeat(100_000), 2, 10)).toEqual({ shown: "1\n1", more: 99_998 });
  });

  test("cuts long lines, and hides nothing that would be run", () => {
    expect(excerpt("abcdef", 1, 3).shown).toBe("abc…");
    expect(excerpt("ls\x1b[8m; x\x07\x7f", 1, 99).shown).toBe("ls␛[8m; x␇␡");
  });
});

describe("a middle click", () => {
  const pasted: string[] = [];
  let click: MiddleClick;

  beforeEach(() => {
    vi.useFakeTimers();
    pasted.length = 0;
    click = new MiddleClick((text) => pasted.push(text));
  });
  afterEach(() => void vi.useRealTimers());

  test("pastes the terminal's selection where the browser pastes nothing", () => {
    click.clicked("here");
    vi.advanceTimersByTime(1000);
    expect(pasted).toEqual(["here"]);
  });

  test("pastes once where the browser pastes", () => {
    click.clicked("here");
    expect(click.browserPastes()).toBe(true);
    vi.advanceTimersByTime(1000);
    expect(pasted).toEqual([]);
  });

  test("pastes once where the browser pastes late", () => {
    click.clicked("here");
    vi.advanceTimersByTime(200);
    expect(pasted).toEqual(["here"]);
    expect(click.browserPastes()).toBe(false);
    vi.advanceTimersByTime(1000);
    expect(click.browserPastes()).toBe(true);
  });

  test("leaves it to the browser when nothing was selected here", () => {
    click.clicked("");
    expect(click.browserPastes()).toBe(true);
    vi.advanceTimersByTime(1000);
    expect(pasted).toEqual([]);
  });

  test("that is the program's pastes nothing", () => {
    click.refused();
    expect(click.browserPastes()).toBe(false);
    vi.advanceTimersByTime(1000);
    expect(click.browserPastes()).toBe(true);
    expect(pasted).toEqual([]);
  });
});
