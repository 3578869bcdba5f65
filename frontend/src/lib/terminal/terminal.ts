import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { UnicodeGraphemesAddon } from "@xterm/addon-unicode-graphemes";
import { Terminal } from "@xterm/xterm";
import { allowClipboardWrites, copyText } from "./clipboard";
import { hyperlinks, openPlainLinks } from "./links";
import { OutputQueue } from "./output";
import { accelerate } from "./renderer";
import { isReport } from "./reports";
import { softKeySequence, withControl, type SoftKey } from "./softkeys";
import { searchColours, terminalColours } from "./themes";

const FONTS =
  'ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", "Roboto Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';

const SCROLLBACK_LINES = 10_000;

// What programs may ask about the window, and do to its title; the agent answers the same.
const WINDOW_OPTIONS = {
  getCellSizePixels: true,
  getWinSizeChars: true,
  getWinSizePixels: true,
  popTitle: true,
  pushTitle: true,
};

const FIT_AFTER_MS = 50;

const LOW_ROWS = 6;

export interface Look {
  dark: boolean;
  fontSize: number;
  screenReader: boolean;
}

export interface TerminalEvents {
  /** Bytes for the program: keys, pastes, mouse reports, answers. */
  onInput(bytes: Uint8Array): void;
  /** The person uses this terminal now, and not another one. */
  onUse(): void;
  /** The place on the page now has room for this size. */
  onFit(cols: number, rows: number): void;
  /** Whether Ctrl was pressed on the page for what is typed now. */
  takeControl(): boolean;
  onTitle(title: string): void;
  /** The person wants to search. */
  onSearch(): void;
  /** The person wants to leave the terminal: it takes Tab for itself. */
  onMenu(): void;
  onMatches(index: number, count: number): void;
}

/** xterm.js with everything that this page adds to it. */
export class TerminalView {
  /** Where output is written to, in order. */
  readonly screen: OutputQueue;
  readonly #xterm: Terminal;
  readonly #fit = new FitAddon();
  readonly #search = new SearchAddon();
  readonly #host: HTMLElement;
  readonly #observer: ResizeObserver;
  #fitTimer: ReturnType<typeof setTimeout> | undefined;
  #dark: boolean;

  constructor(host: HTMLElement, look: Look, events: TerminalEvents) {
    this.#host = host;
    this.#dark = look.dark;
    this.#xterm = new Terminal({
      allowProposedApi: true,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: FONTS,
      fontSize: look.fontSize,
      linkHandler: hyperlinks,
      screenReaderMode: look.screenReader,
      scrollback: SCROLLBACK_LINES,
      windowOptions: WINDOW_OPTIONS,
      ...terminalColours(look.dark),
    });
    this.screen = new OutputQueue(this.#xterm);

    this.#xterm.loadAddon(this.#fit);
    this.#xterm.loadAddon(this.#search);
    this.#xterm.loadAddon(new UnicodeGraphemesAddon());
    allowClipboardWrites(this.#xterm);
    openPlainLinks(this.#xterm);

    this.#listen(events);
    this.#xterm.open(host);
    accelerate(this.#xterm);
    const size = this.size;
    this.#xterm.resize(size.cols, size.rows);

    this.#observer = new ResizeObserver(() => this.#fitSoon(events));
    this.#observer.observe(host);
    this.#xterm.onResize(() => this.#markLetterbox());
    // Of several viewers, the one that is used decides about the size.
    const claim = () => {
      events.onUse();
      if (!this.#fits) events.onFit(this.size.cols, this.size.rows);
    };
    this.#xterm.textarea?.addEventListener("focus", claim);
    this.#xterm.onKey(claim);
  }

  /** The size that the place on the page has room for. */
  get size(): { cols: number; rows: number } {
    const room = this.#fit.proposeDimensions();
    if (!room || !Number.isFinite(room.cols) || !Number.isFinite(room.rows)) {
      return { cols: this.#xterm.cols, rows: this.#xterm.rows };
    }
    return { cols: Math.min(room.cols, 1000), rows: Math.min(room.rows, 1000) };
  }

  dress(look: Look, events: Pick<TerminalEvents, "onFit">): void {
    this.#dark = look.dark;
    Object.assign(this.#xterm.options, {
      fontSize: look.fontSize,
      screenReaderMode: look.screenReader,
      ...terminalColours(look.dark),
    });
    this.#fitSoon(events);
  }

  /** The cursor is where a message at the bottom of the page would cover it. */
  get cursorIsLow(): boolean {
    return this.#xterm.buffer.active.cursorY >= this.#xterm.rows - LOW_ROWS;
  }

  focus(): void {
    this.#xterm.focus();
  }

  /** Types a key that the device of this person does not have. */
  press(key: SoftKey): void {
    this.#xterm.input(softKeySequence(key, this.#xterm.modes.applicationCursorKeysMode));
    this.#xterm.focus();
  }

  /** Finds text in the screen and what has scrolled off it. */
  find(text: string, direction: "next" | "previous", incremental = false): void {
    const options = { incremental, decorations: searchColours(this.#dark) };
    if (direction === "next") this.#search.findNext(text, options);
    else this.#search.findPrevious(text, options);
  }

  endSearch(): void {
    this.#search.clearDecorations();
    this.#xterm.clearSelection();
  }

  dispose(): void {
    clearTimeout(this.#fitTimer);
    this.#observer.disconnect();
    this.#xterm.dispose();
  }

  #listen(events: TerminalEvents): void {
    const encoder = new TextEncoder();
    this.#xterm.onData((data) => {
      if (!this.screen.answering && isReport(data)) return;
      events.onInput(encoder.encode(events.takeControl() ? withControl(data) : data));
    });
    this.#xterm.onBinary((data) => {
      events.onInput(Uint8Array.from(data, (character) => character.charCodeAt(0)));
    });
    this.#xterm.onTitleChange((title) => events.onTitle(title));
    this.#search.onDidChangeResults(({ resultIndex, resultCount }) =>
      events.onMatches(resultIndex, resultCount),
    );
    this.#xterm.attachCustomKeyEventHandler((event) => this.#handleKey(event, events));
  }

  /** Returns whether xterm.js shall handle the key as well. */
  #handleKey(event: KeyboardEvent, events: TerminalEvents): boolean {
    if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return true;
    if (event.code === "KeyC") {
      event.preventDefault();
      const text = this.#xterm.getSelection();
      if (event.type === "keydown" && text) void copyText(text);
      return false;
    }
    if (event.code === "KeyF") {
      event.preventDefault();
      if (event.type === "keydown") events.onSearch();
      return false;
    }
    if (event.code === "KeyM") {
      event.preventDefault();
      if (event.type === "keydown") events.onMenu();
      return false;
    }
    // The browser pastes by itself, and so needs no permission to.
    return event.code !== "KeyV";
  }

  #fitSoon(events: Pick<TerminalEvents, "onFit">): void {
    clearTimeout(this.#fitTimer);
    this.#fitTimer = setTimeout(() => {
      // Hidden, it keeps the size that it had.
      if (this.#host.clientWidth === 0) return;
      const { cols, rows } = this.size;
      this.#markLetterbox();
      events.onFit(cols, rows);
    }, FIT_AFTER_MS);
  }

  /** Whether the terminal has the size that there is room for, and not another viewer's. */
  get #fits(): boolean {
    const { cols, rows } = this.size;
    return cols === this.#xterm.cols && rows === this.#xterm.rows;
  }

  #markLetterbox(): void {
    this.#host.classList.toggle("letterboxed", !this.#fits);
  }
}
