import { describe, expect, test } from "vitest";
import { Predictor, RIGHT_IN_A_ROW, SHOWN_WITHIN_MS, type CursorRow, type Drawing } from "../src/lib/prediction/predictor";
import { Slowness } from "../src/lib/prediction/slowness";
import { Random } from "./screen/streams";

const RAW = { echo: false, canonical: false };
const COOKED = { echo: true, canonical: true };
const PASSWORD = { echo: false, canonical: true };

/** One row of a screen, with the cursor in it. */
class Row implements CursorRow {
  row = 0;
  column = 2;
  columns = 80;
  alternate = false;
  text = "$ ";

  character(column: number): string {
    return this.text[column] ?? " ";
  }

  /** The program shows this at the cursor. */
  put(text: string): void {
    this.text = this.text.padEnd(this.column).slice(0, this.column) + text + this.text.slice(this.column + text.length);
    this.column += text.length;
  }
}

/** A predictor and the screen that it looks at. */
class Desk {
  readonly predictor = new Predictor();
  readonly row = new Row();
  end = 0;
  now = 0;

  constructor(line = RAW) {
    this.predictor.lineIs(line);
  }

  type(...inputs: string[]): this {
    for (const input of inputs) {
      this.end += input.length;
      this.predictor.typed(input, this.end, this.row);
    }
    return this;
  }

  /** The program has everything up to this sequence, and shows this. */
  echo(text: string, sequence = this.end): this {
    this.predictor.delivered(sequence, this.now);
    this.row.put(text);
    return this.judge();
  }

  judge(): this {
    this.predictor.judge(this.row, this.now);
    return this;
  }

  pass(ms: number): this {
    this.now += ms;
    return this.judge();
  }

  get drawing(): Drawing | null {
    return this.predictor.drawing(this.row);
  }

  /** The row as a person sees it, with a bar where the cursor is; null when nothing is guessed. */
  get seen(): string | null {
    const { drawing } = this;
    if (!drawing) return null;
    const characters = [...this.row.text.padEnd(drawing.cursor + 1)];
    for (const { column, character } of drawing.cells) characters[column] = character;
    return `${characters.slice(0, drawing.cursor).join("")}|${characters.slice(drawing.cursor).join("")}`.trimEnd();
  }
}

/** After the program has shown a letter: what is typed now is shown. */
const confirmed = () => new Desk().type("l").echo("l");

describe("an epoch", () => {
  test("is not shown before the program has shown some of it", () => {
    const desk = new Desk().type("l", "s");
    expect(desk.seen).toBeNull();
    desk.echo("l", 1);
    expect(desk.seen).toBe("$ ls|");
    desk.echo("s");
    expect(desk.seen).toBeNull();
    expect(desk.predictor.waiting).toBe(false);
  });

  test("goes on at once when it has been confirmed", () => {
    const desk = confirmed().type("s", " ", "-");
    expect(desk.seen).toBe("$ ls -|");
    expect(desk.type("\x7f").seen).toBe("$ ls |");
    expect(desk.drawing!.cells.map(({ character }) => character).join("")).toBe("s");
  });

  test("ends with every key that cannot be foreseen", () => {
    for (const key of ["\r", "\t", "\x03", "\x1b", "\x1b[A", "\x1b[H", "\x1bb", "漢", "x".repeat(17), "\x1b[200~a\x1b[201~"]) {
      const desk = confirmed().type("s", key);
      expect(desk.seen, JSON.stringify(key)).toBeNull();
      expect(desk.type("a", "b").seen, JSON.stringify(key)).toBeNull();
      // Not even when what follows happens to be right at first.
      desk.echo("s", 2);
      expect(desk.seen, JSON.stringify(key)).toBeNull();
    }
  });

  test("is not begun while such a key is still on its way", () => {
    const desk = confirmed().type("\r", "a");
    expect(desk.predictor.waiting).toBe(false);
    desk.predictor.delivered(desk.end - 1, 0);
    expect(desk.type("b").predictor.waiting).toBe(false);
    desk.predictor.delivered(desk.end, 0);
    expect(desk.type("c").predictor.waiting).toBe(true);
  });

  test("begins where the cursor is when everything before has had its effect", () => {
    const desk = confirmed().type("\r", "a");
    desk.predictor.delivered(desk.end, 0);
    desk.row.row += 1;
    desk.row.text = "a$ ";
    desk.row.column = 3;
    desk.judge().type("p");
    expect(desk.seen).toBeNull();
    desk.echo("p");
    expect(desk.type("w").seen).toBe("a$ pw|");
  });

  test("is not confirmed by what the program shows before it can have the key", () => {
    const desk = new Desk().type("P");
    desk.row.put("P");
    desk.judge().type("Q");
    expect(desk.seen).toBeNull();
    desk.row.put("assword: ");
    desk.judge();
    desk.predictor.delivered(1, 0);
    desk.judge();
    expect(desk.type("secret").seen).toBeNull();
  });

  test("is not confirmed by a cursor that moves over what was there", () => {
    const desk = new Desk();
    desk.type(" ");
    desk.predictor.delivered(1, 0);
    desk.row.column += 1;
    desk.judge();
    expect(desk.predictor.waiting).toBe(false);
    expect(desk.type("l").seen).toBeNull();
  });
});

describe("a line", () => {
  test("is corrected within what was typed", () => {
    const desk = confirmed().type("s", "\x1b[D", "a");
    expect(desk.seen).toBe("$ la|s");
    expect(desk.type("\x1bOC").seen).toBe("$ las|");
    expect(desk.type("\x7f", "\x7f").seen).toBe("$ l|");
    expect(desk.type("\x7f").seen).toBe("$ |");
    expect(desk.drawing!.cells).toEqual([{ column: 2, character: " " }]);
  });

  test("is not foreseen beyond what was typed", () => {
    expect(confirmed().type("\x7f", "\x7f").seen).toBeNull();
    expect(confirmed().type("\x1b[D", "\x1b[D").seen).toBeNull();
    expect(confirmed().type("\x1b[C").seen).toBeNull();
  });

  test("is not foreseen before other text", () => {
    const desk = new Desk();
    desk.row.text = "$ other";
    expect(desk.type("l").echo("l").type("s").seen).toBeNull();
  });

  test("is not foreseen at the margin", () => {
    const desk = confirmed();
    desk.row.columns = 6;
    expect(desk.type("s").seen).toBe("$ ls|");
    expect(desk.type("x").seen).toBeNull();
  });
});

describe("a wrong guess", () => {
  test("takes all of them back at once", () => {
    const desk = confirmed().type("a", "b");
    desk.echo("*", 2);
    expect(desk.seen).toBeNull();
    expect(desk.predictor.waiting).toBe(false);
    expect(desk.type("c").seen).toBeNull();
  });

  test("is one that the program does not show in time", () => {
    const desk = confirmed().type("a");
    desk.echo("", 2).pass(SHOWN_WITHIN_MS);
    expect(desk.seen).toBe("$ la|");
    desk.pass(1);
    expect(desk.seen).toBeNull();
  });

  test("is not one whose key is still on its way", () => {
    const desk = confirmed().type("a").pass(60_000);
    expect(desk.seen).toBe("$ la|");
  });

  test("is one after which the cursor is elsewhere", () => {
    const desk = confirmed().type("a");
    desk.row.row += 1;
    expect(desk.drawing).toBeNull();
    desk.judge();
    expect(desk.predictor.waiting).toBe(false);
  });
});

describe("the terminal's own echo", () => {
  test("of a password's prompt is off, and nothing is foreseen", () => {
    const desk = new Desk(PASSWORD).type("s");
    desk.row.put("s");
    desk.predictor.delivered(1, 0);
    expect(desk.judge().type("e").seen).toBeNull();
    expect(desk.predictor.waiting).toBe(false);
  });

  test("is foreseen like a program's, but for the arrows", () => {
    const desk = new Desk(COOKED).type("a").echo("a").type("b");
    expect(desk.seen).toBe("$ ab|");
    expect(desk.type("\x7f").seen).toBe("$ a|");
    expect(desk.type("\x1b[D").seen).toBeNull();
  });

  test("takes back what was shown when it changes", () => {
    const desk = confirmed().type("a");
    desk.predictor.lineIs(PASSWORD);
    expect(desk.seen).toBeNull();
    desk.predictor.lineIs(RAW);
    expect(desk.seen).toBeNull();
    expect(desk.type("b").seen).toBeNull();
  });

  test("is unknown when nobody says so", () => {
    const desk = new Desk();
    desk.predictor.lineIs(null);
    expect(desk.type("a").echo("a").type("b").seen).toBeNull();
  });
});

test("on the alternate screen guesses are shown after a row of right ones", () => {
  const desk = new Desk();
  desk.row.alternate = true;
  for (let count = 1; count < RIGHT_IN_A_ROW; count += 1) desk.type("a").echo("a");
  expect(desk.type("b").seen).toBeNull();
  desk.echo("b").type("c");
  expect(desk.seen).toMatch(/bc\|$/);
  desk.echo("x").type("d").echo("d").type("e");
  expect(desk.seen).toBeNull();
});

test("what the person typed before a new connection is forgotten", () => {
  const desk = confirmed().type("a");
  desk.predictor.reset();
  expect(desk.seen).toBeNull();
  expect(desk.type("b").seen).toBeNull();
});

test("slowness has two limits", () => {
  const slowness = new Slowness();
  const after = (...all: number[]) => all.map((it) => (slowness.measured(it), slowness.slow));
  expect(after(20, 50, 59, 60, 50, 41, 39, 59, 300)).toEqual([false, false, false, true, true, true, false, false, true]);
});

/** A shell that edits its line, at the far end of a slow link, and asks for a password now and then. */
class SlowShell {
  /** What is on its way, in order: input to the shell, and what the page will see of it. */
  readonly input: { text: string; end: number }[] = [];
  readonly output: ((desk: Desk) => void)[] = [];
  /** What it has read as a password. */
  readonly secrets: string[] = [];
  #secret = false;
  #line: string[] = [];
  #at = 0;

  /** Reads the oldest input. */
  read(random: Random): void {
    const { text, end } = this.input.shift()!;
    const delivered = (desk: Desk) => desk.predictor.delivered(end, desk.now);
    if (text === "\r") {
      this.#line = [];
      this.#at = 0;
      this.#secret = random.below(2) === 0;
      const line = this.#secret ? PASSWORD : RAW;
      const prompt = this.#secret ? "Password: " : "$ ";
      const tell = (desk: Desk) => desk.predictor.lineIs(line);
      const ask = (desk: Desk) => {
        desk.row.row += 1;
        desk.row.text = "";
        desk.row.column = 0;
        desk.row.put(prompt);
        desk.judge();
      };
      this.output.push(delivered, ...(random.below(2) === 0 ? [tell, ask] : [ask, tell]));
      return;
    }
    if (this.#secret) {
      this.secrets.push(text);
      this.output.push(delivered);
      return;
    }
    if (text === "\x7f") {
      if (this.#at > 0) this.#line.splice(--this.#at, 1);
    } else if (text === "\x1b[D") this.#at = Math.max(0, this.#at - 1);
    else if (text === "\x1b[C") this.#at = Math.min(this.#line.length, this.#at + 1);
    else this.#line.splice(this.#at++, 0, text);
    const drawn = `$ ${this.#line.join("")}`;
    const column = 2 + this.#at;
    const draw = (desk: Desk) => {
      desk.row.text = drawn;
      desk.row.column = column;
      desk.judge();
    };
    // Either may come first.
    this.output.push(...(random.below(4) === 0 ? [draw, delivered] : [delivered, draw]));
  }

  /** Everything that is on its way arrives. */
  settle(desk: Desk, random: Random): void {
    while (this.input.length > 0) this.read(random);
    while (this.output.length > 0) this.output.shift()!(desk);
    desk.judge();
  }
}

test("whatever is typed over a slow link, nothing secret is shown, and a guess is what the shell then shows", () => {
  let guesses = 0;
  for (let seed = 0; seed < 500; seed += 1) {
    const random = new Random(seed);
    const desk = new Desk();
    const shell = new SlowShell();
    const shown = new Set<string>();
    // Every letter is another one, so that one that is seen can be traced.
    let letter = 0x100;
    for (let step = 0; step < 300; step += 1) {
      const what = random.below(10);
      if (what < 4) {
        const text = random.below(4) > 0 ? String.fromCharCode(letter++) : random.pick(["\x7f", "\x1b[D", "\x1b[C", "\r"]);
        desk.type(text);
        shell.input.push({ text, end: desk.end });
      } else if (what < 7 && shell.input.length > 0) shell.read(random);
      else if (shell.output.length > 0) shell.output.shift()!(desk);

      const guess = desk.seen;
      if (guess === null) continue;
      guesses += 1;
      for (const { character } of desk.drawing!.cells) shown.add(character);
      if (random.below(8) > 0) continue;
      const { row } = desk.row;
      shell.settle(desk, random);
      expect(desk.row.row, `seed ${seed}`).toBe(row);
      const { text, column } = desk.row;
      expect(`${text.slice(0, column)}|${text.slice(column)}`, `seed ${seed}`).toBe(guess);
      expect(desk.seen, `seed ${seed}`).toBeNull();
    }
    shell.settle(desk, random);
    expect(desk.seen, `seed ${seed}`).toBeNull();
    expect(shell.secrets.filter((text) => shown.has(text))).toEqual([]);
  }
  expect(guesses).toBeGreaterThan(1000);
});
