import type { IBufferCell, IDisposable, Terminal } from "@xterm/xterm";
import type { Preferences } from "../preferences";
import type { Line } from "../wire/messages";
import { Overlay } from "./overlay";
import { Predictor, SHOWN_WITHIN_MS, type CursorRow } from "./predictor";
import { Slowness } from "./slowness";

/** Shows keys before the program does, where the person wants that and it helps. */
export class LocalEcho {
  readonly #predictor = new Predictor();
  readonly #slowness = new Slowness();
  readonly #overlay: Overlay;
  readonly #listeners: IDisposable[];
  #cell: IBufferCell | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #mode: Preferences["localEcho"] = "off";

  /** The terminal has been opened. */
  constructor(private readonly terminal: Terminal) {
    this.#overlay = new Overlay(terminal);
    this.#listeners = [
      terminal.onWriteParsed(() => this.#judge()),
      terminal.onScroll(() => this.#draw()),
      terminal.onResize(() => this.reset()),
    ];
  }

  set mode(mode: Preferences["localEcho"]) {
    this.#mode = mode;
    this.#draw();
  }

  /** Input was sent; `end` is the sequence after it. */
  typed(input: string, end: number): void {
    this.#predictor.typed(input, end, this.#row());
    this.#draw();
  }

  /** The terminal has the input before this sequence. */
  delivered(sequence: number): void {
    this.#predictor.delivered(sequence, performance.now());
    this.#judge();
  }

  /** How the terminal treats what is typed; null while nobody knows or somebody else types. */
  line(line: Line | null): void {
    this.#predictor.lineIs(line);
    this.#draw();
  }

  measured(roundTrip: number): void {
    this.#slowness.measured(roundTrip);
    this.#draw();
  }

  /** Another connection or size. */
  reset(): void {
    this.#predictor.reset();
    this.#draw();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    for (const listener of this.#listeners) listener.dispose();
    this.#overlay.clear();
  }

  #judge(): void {
    clearTimeout(this.#timer);
    this.#predictor.judge(this.#row(), performance.now());
    // A program that shows nothing is noticed without any output.
    if (this.#predictor.waiting) this.#timer = setTimeout(() => this.#judge(), SHOWN_WITHIN_MS + 1);
    this.#draw();
  }

  #draw(): void {
    const wanted = this.#mode === "always" || (this.#mode === "automatic" && this.#slowness.slow);
    const now = this.#row();
    this.#overlay.draw(wanted ? this.#predictor.drawing(now) : null, now.column, now.character(now.column));
  }

  #row(): CursorRow {
    const { active } = this.terminal.buffer;
    const row = active.baseY + active.cursorY;
    const line = active.getLine(row);
    return {
      row,
      column: active.cursorX,
      columns: this.terminal.cols,
      alternate: active.type === "alternate",
      character: (column) => {
        this.#cell = line?.getCell(column, this.#cell) ?? this.#cell;
        return (column < (line?.length ?? 0) && this.#cell?.getChars()) || " ";
      },
    };
  }
}
