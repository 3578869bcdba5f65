/**
 * Foresees what a program will show for what is typed, as mosh does, so that it
 * can be shown before the program has. It is a guess: it is compared with what
 * the program shows, and taken back when they differ.
 *
 * Typing between two keys that cannot be foreseen (Enter, Tab, Ctrl-C, …) is an
 * *epoch*. Nothing of one is shown before the program itself has shown some of
 * it: at the prompt of a password it never does. While the effect of such a key
 * is still on its way, nobody knows where the next character will be, so nothing
 * is foreseen at all.
 */
import type { Line } from "../wire/messages";
import { edited, editsOf, EMPTY_LINE, type TypedLine } from "./line";

/** The row of the screen that the cursor is in, as the program has drawn it. */
export interface CursorRow {
  /** Counted from the first line that is kept. */
  readonly row: number;
  readonly column: number;
  readonly columns: number;
  /** Whether it is the alternate screen's. */
  readonly alternate: boolean;
  /** The character in a column; a blank where there is none. */
  character(column: number): string;
}

/** What to draw over the row instead of what the program has drawn. */
export interface Drawing {
  readonly row: number;
  readonly cells: readonly { column: number; character: string }[];
  readonly cursor: number;
}

/** A program shows what it was given within this time, or not at all. */
export const SHOWN_WITHIN_MS = 250;

/** On the alternate screen keys are mostly commands: only a row of right guesses is believed. */
export const RIGHT_IN_A_ROW = 10;

/** How a terminal treats what is typed. */
type Discipline = Pick<Line, "echo" | "canonical">;

interface Guess {
  /** The sequence after the input that it is a guess about. */
  end: number;
  line: TypedLine;
}

export class Predictor {
  /** Where the epoch's line begins; nothing while nothing has been foreseen in it. */
  #start: { row: number; column: number } | null = null;
  /** What was in the line's cells before anything was typed. */
  #before: string[] = [];
  /** The line as the program has shown it. */
  #shown: TypedLine = EMPTY_LINE;
  #guesses: Guess[] = [];
  /** The program has shown something of this epoch. */
  #confirmed = false;
  #rightInARow = 0;
  #alternate = false;
  #line: Discipline | null = null;
  #typed = 0;
  /** Input before this sequence may still have effects that cannot be foreseen. */
  #blindUntil = 0;
  #delivered = 0;
  #deliveredAt = 0;

  /** Whether there are guesses to be compared with what the program shows. */
  get waiting(): boolean {
    return this.#guesses.length > 0;
  }

  /** Input was sent, up to the sequence `end`, while the screen was `now`. */
  typed(input: string, end: number, now: CursorRow): void {
    this.#notice(now);
    this.#typed = end;
    if (!this.#foresee(input, end, now)) this.#begin();
  }

  /** The program has the input before `sequence`; `at` is a time in milliseconds. */
  delivered(sequence: number, at: number): void {
    if (sequence <= this.#delivered) return;
    this.#delivered = sequence;
    this.#deliveredAt = at;
  }

  /** The terminal treats what is typed in this way; null: nobody knows. */
  lineIs(line: Discipline | null): void {
    if (line?.echo === this.#line?.echo && line?.canonical === this.#line?.canonical) return;
    this.#line = line;
    this.#begin();
  }

  /** Another connection, size or screen: nothing that was foreseen counts, and sequences may begin anew. */
  reset(): void {
    this.#typed = this.#delivered = 0;
    this.#begin();
    this.#rightInARow = 0;
  }

  /** Compares the guesses with the screen, which is `now` at the time `at`. */
  judge(now: CursorRow, at: number): void {
    this.#notice(now);
    if (!this.#start) return;
    for (let last = this.#guesses.length - 1; last >= 0; last -= 1) {
      const { end, line } = this.#guesses[last]!;
      if (!this.#shows(now, line)) continue;
      // Seen before the program can have had it, it is something else or early: not judged.
      if (end <= this.#delivered) this.#accept(last);
      return;
    }
    const first = this.#guesses[0];
    const late = first && first.end <= this.#delivered && at - this.#deliveredAt > SHOWN_WITHIN_MS;
    if (!this.#shows(now, this.#shown) || late) this.#takeBack();
  }

  /** What to draw over the screen; null when the program's own is shown as it is. */
  drawing(now: CursorRow): Drawing | null {
    const last = this.#guesses.at(-1);
    if (!this.#start || !last || !this.#confirmed || now.row !== this.#start.row) return null;
    if (now.alternate && this.#rightInARow < RIGHT_IN_A_ROW) return null;
    const cells: { column: number; character: string }[] = [];
    const { characters, at } = last.line;
    // What was typed and erased again may be on the screen, now or soon.
    for (const [index, before] of this.#before.entries()) {
      const column = this.#start.column + index;
      const character = characters[index] ?? before;
      if (now.character(column) !== character) cells.push({ column, character });
    }
    return { row: now.row, cells, cursor: this.#start.column + at };
  }

  /** Adds a guess about this input. Returns false when there is none to make. */
  #foresee(input: string, end: number, now: CursorRow): boolean {
    const edits = editsOf(input);
    if (!edits || !this.#line || this.#blindUntil > this.#delivered) return false;
    const { canonical, echo } = this.#line;
    // A password is asked for in this way.
    if (canonical && !echo) return false;
    // The kernel knows how to erase, but shows an arrow as letters.
    if (canonical && edits.some(({ kind }) => kind === "left" || kind === "right")) return false;

    let line: TypedLine | null = this.#guesses.at(-1)?.line ?? this.#shown;
    for (const edit of edits) line = line && edited(line, edit);
    // Before other text, some programs insert and others replace.
    if (!this.#start && now.character(now.column) !== " ") return false;
    const start = this.#start ?? { row: now.row, column: now.column };
    // What happens at the margin differs from program to program.
    if (!line || start.column + line.characters.length >= now.columns - 1) return false;
    this.#start = start;
    for (let index = this.#before.length; index < line.characters.length; index += 1) {
      this.#before.push(now.character(start.column + index));
    }
    this.#guesses.push({ end, line });
    return true;
  }

  #shows(now: CursorRow, line: TypedLine): boolean {
    const { row, column } = this.#start!;
    return (
      now.row === row &&
      now.column === column + line.at &&
      line.characters.every((character, index) => now.character(column + index) === character)
    );
  }

  /** The guesses up to this one were right. */
  #accept(last: number): void {
    const { line } = this.#guesses[last]!;
    // What was there already proves nothing: a cursor that only moves looks the same.
    const proof = line.characters.some((character, index) => this.#before[index] !== character);
    this.#confirmed ||= proof;
    if (proof) this.#rightInARow += last + 1;
    this.#shown = line;
    this.#guesses.splice(0, last + 1);
  }

  #takeBack(): void {
    if (this.#guesses.length > 0) this.#rightInARow = 0;
    this.#begin();
  }

  /** A new epoch, of which nothing is known until everything before it has had its effect. */
  #begin(): void {
    this.#start = null;
    this.#before = [];
    this.#shown = EMPTY_LINE;
    this.#guesses = [];
    this.#confirmed = false;
    this.#blindUntil = this.#typed;
  }

  #notice({ alternate }: CursorRow): void {
    if (alternate === this.#alternate) return;
    this.#alternate = alternate;
    this.#takeBack();
    this.#rightInARow = 0;
  }
}
