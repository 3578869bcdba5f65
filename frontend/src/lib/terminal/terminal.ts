import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { UnicodeGraphemesAddon } from "@xterm/addon-unicode-graphemes";
import { Terminal, type ITerminalOptions } from "@xterm/xterm";
import { LocalEcho } from "../prediction/echo";
import type { Preferences } from "../preferences";
import { allowClipboardWrites, copyOrSay } from "./clipboard";
import { cutComposition } from "./composition";
import { fontStack } from "./fonts";
import { Images } from "./images";
import { handleShortcut } from "./keyboard";
import { Links } from "./links";
import { Mouse } from "./mouse";
import { OutputQueue } from "./output";
import { hasLineEnd, preparePaste } from "./paste";
import { accelerate } from "./renderer";
import { isReport } from "./reports";
import { softKeySequence, withModifiers, type Modifiers, type SoftKey } from "./softkeys";
import { searchColours, terminalColours } from "./themes";

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

/** How the person wants the terminal, and whether the page is dark now. */
export type Look = Preferences & { dark: boolean };

export interface TerminalEvents {
  /**
   * Bytes for the program: keys, pastes, mouse reports, answers. Returns the
   * sequence after them, or null when they are not sent now.
   */
  onInput(bytes: Uint8Array): number | null;
  /** The person uses this terminal now, and not another one. */
  onUse(): void;
  /** The place on the page now has room for this size. */
  onFit(cols: number, rows: number): void;
  /** Which keys were pressed on the page for what is typed now; from then on, none. */
  takeModifiers(): Modifiers;
  /** Whether there are such keys. */
  modifiersHeld(): boolean;
  /** Whether the person wants to paste this, which a shell would run at once. */
  confirmPaste(text: string): Promise<boolean>;
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
  /** Shows keys before the program does; it is told what happens to them. */
  readonly echo: LocalEcho;
  readonly #xterm: Terminal;
  readonly #events: TerminalEvents;
  readonly #fit = new FitAddon();
  readonly #search = new SearchAddon();
  readonly #links: Links;
  readonly #images: Images;
  readonly #mouse: Mouse;
  readonly #host: HTMLElement;
  readonly #observer: ResizeObserver;
  readonly #encoder = new TextEncoder();
  #fitTimer: ReturnType<typeof setTimeout> | undefined;
  #look: Look;

  constructor(host: HTMLElement, look: Look, events: TerminalEvents) {
    this.#host = host;
    this.#look = look;
    this.#events = events;
    this.#links = new Links(() => this.#look.openLinks === "modifier");
    this.#xterm = new Terminal({
      allowProposedApi: true,
      linkHandler: this.#links.handler,
      macOptionClickForcesSelection: true,
      windowOptions: WINDOW_OPTIONS,
      ...appearance(look),
    });
    this.screen = new OutputQueue(this.#xterm);

    this.#xterm.loadAddon(this.#fit);
    this.#xterm.loadAddon(this.#search);
    this.#xterm.loadAddon(new UnicodeGraphemesAddon());
    allowClipboardWrites(this.#xterm);
    this.#links.openPlain(this.#xterm);

    this.#listen();
    this.#xterm.open(host);
    accelerate(this.#xterm);
    cutComposition(this.#xterm.textarea!, () => events.modifiersHeld(), (text) => this.type(text));
    this.#mouse = new Mouse(
      host,
      this.#xterm,
      () => this.#look,
      (text) => void this.#paste(text),
    );
    this.#images = new Images(this.#xterm);
    this.#images.want(look.images);
    this.echo = new LocalEcho(this.#xterm);
    this.echo.mode = look.localEcho;
    const size = this.size;
    this.#xterm.resize(size.cols, size.rows);

    this.#observer = new ResizeObserver(() => this.#fitSoon());
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

  dress(look: Look): void {
    this.#look = look;
    Object.assign(this.#xterm.options, appearance(look));
    this.#images.want(look.images);
    this.echo.mode = look.localEcho;
    this.#fitSoon();
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
    const modifiers = this.#events.takeModifiers();
    this.#xterm.input(softKeySequence(key, this.#xterm.modes.applicationCursorKeysMode, modifiers));
    this.#xterm.focus();
  }

  /** Types a character as the keyboard would. */
  type(character: string): void {
    this.#xterm.input(character);
    this.#xterm.focus();
  }

  /** Finds text in the screen and what has scrolled off it. */
  find(text: string, direction: "next" | "previous", incremental = false): void {
    const options = { incremental, decorations: searchColours(this.#look.dark) };
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
    this.#mouse.dispose();
    this.#links.dispose();
    this.#images.dispose();
    this.echo.dispose();
    this.#xterm.dispose();
  }

  #listen(): void {
    this.#xterm.onData((data) => {
      if (!this.screen.answering && isReport(data)) return;
      this.#input(withModifiers(data, this.#events.takeModifiers()));
    });
    this.#xterm.onBinary((data) => {
      const end = this.#events.onInput(Uint8Array.from(data, (character) => character.charCodeAt(0)));
      if (end !== null) this.echo.typed("", end);
    });
    this.#xterm.onTitleChange((title) => this.#events.onTitle(title));
    this.#search.onDidChangeResults(({ resultIndex, resultCount }) =>
      this.#events.onMatches(resultIndex, resultCount),
    );
    this.#xterm.attachCustomKeyEventHandler((event) =>
      handleShortcut(event, {
        copy: () => {
          const text = this.#xterm.getSelection();
          if (text) void copyOrSay(text);
        },
        search: () => this.#events.onSearch(),
        menu: () => this.#events.onMenu(),
      }),
    );
  }

  #input(data: string): void {
    const end = this.#events.onInput(this.#encoder.encode(data));
    if (end !== null) this.echo.typed(data, end);
  }

  /** Gives the program a paste, whole and as it is; xterm.js would take a part of it for its own. */
  async #paste(text: string): Promise<void> {
    const asks = () => !this.#xterm.modes.bracketedPasteMode && this.#xterm.buffer.active.type === "normal";
    if (this.#look.askBeforePaste && hasLineEnd(text) && asks()) {
      const wanted = await this.#events.confirmPaste(text);
      this.#xterm.focus();
      if (!wanted) return;
    }
    this.#xterm.scrollToBottom();
    this.#input(preparePaste(text, this.#xterm.modes.bracketedPasteMode));
  }

  #fitSoon(): void {
    clearTimeout(this.#fitTimer);
    this.#fitTimer = setTimeout(() => {
      // Hidden, it keeps the size that it had.
      if (this.#host.clientWidth === 0) return;
      const { cols, rows } = this.size;
      this.#markLetterbox();
      this.#events.onFit(cols, rows);
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

function appearance(look: Look): ITerminalOptions {
  return {
    cursorBlink: look.cursorBlink,
    cursorStyle: look.cursorShape,
    fontFamily: fontStack(look.fontFamily),
    fontSize: look.fontSize,
    lineHeight: look.lineHeight,
    screenReaderMode: look.screenReader,
    scrollback: look.scrollback,
    ...terminalColours(look.dark, look.dark ? look.darkColours : look.lightColours),
  };
}
