import type { Terminal } from "@xterm/xterm";
import type { Drawing } from "./predictor";

/**
 * Draws guesses above the screen. They are never written into it: whatever draws
 * the screen goes on as if they were not there.
 */
export class Overlay {
  readonly #layer = document.createElement("div");
  #shown = "";

  constructor(private readonly terminal: Terminal) {
    this.#layer.className = "predictions";
    this.#layer.setAttribute("aria-hidden", "true");
  }

  /** `cursor`: the column of the program's own cursor, which is covered when the guess is elsewhere. */
  draw(drawing: Drawing | null, cursor: number, characterAtCursor: string): void {
    const screen = this.terminal.element?.querySelector<HTMLElement>(".xterm-screen");
    const row = drawing ? drawing.row - this.terminal.buffer.active.viewportY : -1;
    if (!drawing || !screen || row < 0 || row >= this.terminal.rows) {
      this.clear();
      return;
    }
    const { width, height } = screen.getBoundingClientRect();
    const cell = { width: width / this.terminal.cols, height: height / this.terminal.rows };
    const wanted = JSON.stringify([drawing, row, cursor, characterAtCursor, cell, this.terminal.options.cursorStyle]);
    if (wanted === this.#shown) return;
    this.#shown = wanted;

    const guessed = new Map(drawing.cells.map(({ column, character }) => [column, character]));
    const cells = drawing.cells.map(({ column, character }) => this.#cell(column, character, "guess"));
    if (drawing.cursor !== cursor) {
      if (!guessed.has(cursor)) cells.push(this.#cell(cursor, characterAtCursor, "cover"));
      const style = this.terminal.options.cursorStyle ?? "block";
      cells.push(this.#cell(drawing.cursor, guessed.get(drawing.cursor) ?? " ", `cursor ${style}`));
    }
    const { fontFamily, fontSize } = this.terminal.options;
    const style = this.#layer.style;
    style.setProperty("--cell-width", `${cell.width}px`);
    style.setProperty("--cell-height", `${cell.height}px`);
    style.font = `${fontSize}px ${fontFamily}`;
    style.top = `${row * cell.height}px`;
    this.#colour();
    this.#layer.replaceChildren(...cells);
    if (this.#layer.parentElement !== screen) screen.append(this.#layer);
  }

  clear(): void {
    if (this.#shown === "") return;
    this.#shown = "";
    this.#layer.replaceChildren();
    this.#layer.remove();
  }

  #colour(): void {
    const { background, foreground, cursor } = this.terminal.options.theme ?? {};
    for (const [name, colour] of Object.entries({ background, foreground, cursor })) {
      this.#layer.style.setProperty(`--${name}`, colour ?? null);
    }
  }

  #cell(column: number, character: string, kind: string): HTMLElement {
    const cell = document.createElement("span");
    cell.className = kind;
    cell.textContent = character;
    cell.style.left = `calc(${column} * var(--cell-width))`;
    return cell;
  }
}
