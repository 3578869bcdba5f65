import { openSocket } from "../connection/attach";
import { Connection, type Status } from "../connection/connection";
import { pasteQuestion } from "../paste-question.svelte";
import { randomId } from "../random";
import { settings } from "../settings.svelte";
import { toasts } from "../toasts.svelte";
import type { Line, Viewers } from "../wire/messages";
import { isReport } from "./reports";
import type { Modifiers, SoftKey } from "./softkeys";
import { TerminalView, type Look, type TerminalEvents } from "./terminal";

/** Leaving the page asks first when something was typed within this time. */
const RECENT_MS = 60_000;

const LONGEST_TITLE = 200;

const ESCAPE = 0x1b;

/** A terminal on the page and its connection, as the components see them. */
export class LiveTerminal {
  status = $state<Status>({ kind: "idle" });
  /** Who is here; nothing while that is not known. */
  viewers = $state<Viewers | null>(null);
  /** What the terminal does with what is typed; nothing while that is not known. */
  line = $state<Line | null>(null);
  /** The title that the program has set, or nothing. */
  title = $state("");
  searching = $state(false);
  matches = $state<{ index: number; count: number } | null>(null);
  /** Milliseconds to the terminal and back; nothing while that is not known. */
  roundTrip = $state<number | null>(null);
  /** Keys that were pressed on the page, for the next one. */
  modifiers = $state<Modifiers>({ control: false, alt: false });

  readonly #view: TerminalView;
  readonly #connection: Connection;
  #typedAt = 0;

  /** `onMenu`: the person at the keyboard wants to leave the terminal for the page. */
  constructor(host: HTMLElement, session: string, terminal: string, onMenu: () => void) {
    const events: TerminalEvents = {
      onInput: (bytes) => this.#type(bytes),
      onUse: () => this.#connection.take(),
      onFit: (cols, rows) => this.#connection.resize(cols, rows),
      takeModifiers: () => {
        const { control, alt } = this.modifiers;
        if (control || alt) this.modifiers = { control: false, alt: false };
        return { control, alt };
      },
      modifiersHeld: () => this.modifiers.control || this.modifiers.alt,
      confirmPaste: (text) => pasteQuestion.ask(text),
      onTitle: (title) => (this.title = title.replace(/\p{Cc}/gu, " ").trim().slice(0, LONGEST_TITLE)),
      onSearch: () => (this.searching = true),
      onMenu,
      onMatches: (index, count) => (this.matches = { index, count }),
    };
    this.#view = new TerminalView(host, look(), events);
    this.#connection = new Connection({
      open: (query) => openSocket(session, terminal, query),
      screen: this.#view.screen,
      client: randomId(),
      onStatus: (status) => {
        this.status = status;
        if (status.kind === "connected") return;
        this.viewers = this.line = this.roundTrip = null;
        this.#view.echo.reset();
        this.#foresee();
      },
      onViewers: (viewers) => {
        this.viewers = viewers;
        this.#foresee();
      },
      onLine: (line) => {
        this.line = line;
        this.#foresee();
      },
      onDelivered: (sequence) => this.#view.echo.delivered(sequence),
      onRoundTrip: (milliseconds) => {
        this.roundTrip = milliseconds;
        this.#view.echo.measured(milliseconds);
      },
      onNotice: (code, message) => toasts.show(code, message),
      visible: () => !document.hidden,
    });
  }

  /** Whether something is likely to be lost by leaving the page by accident. */
  get inUse(): boolean {
    return this.status.kind === "connected" && Date.now() - this.#typedAt < RECENT_MS;
  }

  /** Connects; `restart` starts the program again when it has ended. */
  connect(restart = false): void {
    this.#connection.start(this.#view.size, restart);
  }

  /** The size that there is room for, in cells. */
  get size(): { cols: number; rows: number } {
    return this.#view.size;
  }

  disconnect(): void {
    this.#connection.close();
  }

  /** Takes the keyboard over from another viewer. */
  take(): void {
    this.#connection.take();
    this.#view.focus();
  }

  retryNow(): void {
    this.#connection.retryNow();
  }

  /** Whether a message at the bottom of the page would cover the last output. */
  get cursorIsLow(): boolean {
    return this.#view.cursorIsLow;
  }

  focus(): void {
    this.#view.focus();
  }

  press(key: SoftKey): void {
    this.#view.press(key);
  }

  type(character: string): void {
    this.#view.type(character);
  }

  /** Takes over what the person has chosen in the settings. */
  applySettings(): void {
    this.#view.dress(look());
  }

  find(text: string, direction: "next" | "previous", incremental = false): void {
    this.#view.find(text, direction, incremental);
  }

  endSearch(): void {
    this.searching = false;
    this.matches = null;
    this.#view.endSearch();
    this.#view.focus();
  }

  dispose(): void {
    this.#connection.close();
    this.#view.dispose();
  }

  #type(bytes: Uint8Array): number | null {
    // What the terminal answers by itself is nobody's use.
    if (bytes[0] !== ESCAPE || !isReport(new TextDecoder().decode(bytes))) this.#typedAt = Date.now();
    return this.#connection.type(bytes);
  }

  /** What others type cannot be foreseen. */
  #foresee(): void {
    const writing = this.viewers !== null && this.viewers.writer === this.viewers.you;
    this.#view.echo.line(writing ? this.line : null);
  }
}

function look(): Look {
  return { ...settings.chosen, dark: settings.dark };
}
