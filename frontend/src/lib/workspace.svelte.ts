import { tick } from "svelte";
import { SvelteMap } from "svelte/reactivity";
import { COMMANDS, type Command, type CommandName } from "./layout/commands";
import { entriesOf } from "./layout/entries";
import {
  activeTab,
  addTab,
  close,
  focus,
  focusNextPane,
  keepOnly,
  MAIN,
  replace,
  resize,
  shownTerminals,
  single,
  splitFocused,
  type Layout,
} from "./layout/layout";
import { LayoutMemory } from "./layout/memory";
import { arrange, dividersOf, pane, terminalsOf, type Axis, type Box, type Divider, type Path } from "./layout/tree";
import { LiveTerminal } from "./terminal/live.svelte";
import { SessionTerminals } from "./terminals.svelte";
import { toasts } from "./toasts.svelte";

/** Where there is room for one pane at a time, and no mouse. */
const narrow = matchMedia("(max-width: 640px) and (pointer: coarse)");

/** A pane is not split into halves with less than this. */
const LEAST = { cols: 20, rows: 4 };

/**
 * A session's terminals on its page: which are shown and where, and what can be
 * done with them. A terminal is connected from when its pane is first seen until
 * the pane is closed; hidden meanwhile, it stays connected.
 */
export class Workspace {
  /** The terminals whose panes have been seen. */
  readonly lives = new SvelteMap<string, LiveTerminal>();
  /** What a person has to agree to close. */
  closing = $state.raw<string[] | null>(null);
  /** The divider that is to have the focus. */
  resizing = $state.raw<Divider | null>(null);

  #layout = $state.raw<Layout>(single());
  /** Those that are in the document, in the order in which they came: one that is moved in it loses the focus. */
  #placed = $state.raw<string[]>([]);
  #narrow = $state(narrow.matches);
  readonly #tab = $derived(activeTab(this.#layout));

  readonly #arrangement = $derived(arrange(this.#narrow ? pane(this.#tab.focused) : this.#tab.tree));

  /** What the tab bar shows. */
  readonly entries = $derived(entriesOf(this.#layout, this.#narrow));

  /** The terminals that the session has and the page does not show. */
  readonly hidden = $derived.by(() => {
    const shown = shownTerminals(this.#layout);
    return [...this.#terminals.names].filter((terminal) => !shown.includes(terminal));
  });

  /** Whether the session runs, so that terminals can be opened and ended. */
  #running = $state(false);
  /** Those that are opened when their pane has a size. */
  readonly #unopened = new Set<string>();
  readonly #session: string;
  readonly #terminals: SessionTerminals;
  readonly #onMenu: () => void;
  readonly #memory = new LayoutMemory(localStorage);

  /** `onMenu`: the person at the keyboard wants to leave a terminal for the page. */
  constructor(session: string, onMenu: () => void) {
    this.#session = session;
    this.#terminals = new SessionTerminals(session);
    this.#onMenu = onMenu;
    this.#layout = this.#memory.load(session) ?? single();
  }

  get placed(): readonly string[] {
    return this.#placed;
  }

  /** Where the panes are that can be seen. */
  get panes(): ReadonlyMap<string, Box> {
    return this.#arrangement.panes;
  }

  get dividers(): readonly Divider[] {
    return this.#placed.length > 0 ? this.#arrangement.dividers : [];
  }

  /** The terminal that the page's header, search and keys are about. */
  get focused(): string {
    return this.#tab.focused;
  }

  get live(): LiveTerminal | null {
    return this.lives.get(this.focused) ?? null;
  }

  /** Whether there is one pane, and no other to go to. */
  get alone(): boolean {
    return shownTerminals(this.#layout).length === 1;
  }

  /** Whether something is likely to be lost by leaving the page by accident. */
  get inUse(): boolean {
    return [...this.lives.values()].some((live) => live.inUse);
  }

  /** What the terminal's program calls itself, or the terminal's name. */
  titleOf(terminal: string): string {
    const live = this.lives.get(terminal);
    return (live ? live.title : this.#terminals.titleOf(terminal)) || terminal;
  }

  get running(): boolean {
    return this.#running;
  }

  /** The commands that would do something now. */
  get commands(): readonly Command[] {
    const last = this.panes.size === 1;
    return COMMANDS.filter(({ name }) => this.#allows(name)).map((command) =>
      command.name === "close-pane" && last ? { ...command, label: "Close tab" } : command,
    );
  }

  #allows(command: CommandName): boolean {
    switch (command) {
      case "split-right":
      case "split-below":
        return this.#running && !this.#narrow;
      case "next-pane":
      case "previous-pane":
      case "resize-pane":
        return !this.#narrow && terminalsOf(this.#tab.tree).length > 1;
      case "next-tab":
      case "previous-tab":
        return this.entries.length > 1;
      case "close-pane":
        return !this.alone || this.focused !== MAIN;
      default:
        return this.#running;
    }
  }

  run(command: CommandName): void {
    if (!this.#allows(command)) return;
    if (command === "new-tab") this.#add(null);
    else if (command === "split-right") this.#split("row");
    else if (command === "split-below") this.#split("column");
    else if (command === "next-pane") this.#show(focusNextPane(this.#layout, 1));
    else if (command === "previous-pane") this.#show(focusNextPane(this.#layout, -1));
    else if (command === "resize-pane") this.#chooseDivider();
    else if (command === "next-tab") this.#showNeighbour(1);
    else if (command === "previous-tab") this.#showNeighbour(-1);
    else this.close([this.focused]);
  }

  /** The session runs, for the first time here or again: connects what is shown of what is there. */
  async enter(): Promise<void> {
    this.#running = true;
    const others = !shownTerminals(this.#layout).every((terminal) => terminal === MAIN);
    const again = [...this.lives];
    // What has a place here may be gone; `main` needs no question.
    const heard = others && (await this.#terminals.learn());
    if (!this.#running) return;
    this.#set(heard ? keepOnly(this.#layout, this.#terminals.names) : this.#layout);
    for (const [terminal, live] of again) {
      if (this.#placed.includes(terminal)) live.connect();
    }
    this.live?.focus();
    if (!others) await this.#terminals.learn();
  }

  /** The session does not run any more. What is on the screens can still be read. */
  leave(): void {
    this.#running = false;
  }

  /** Brings a terminal to life in its pane; returns the way to end that. */
  attach(terminal: string, host: HTMLElement): () => void {
    const live = new LiveTerminal(host, this.#session, terminal, this.#onMenu);
    this.lives.set(terminal, live);
    void this.#start(terminal, live);
    return () => {
      this.lives.delete(terminal);
      live.dispose();
    };
  }

  /** Follows what the browser says about how much room there is. Returns the way to stop. */
  followRoom(): () => void {
    const follow = () => {
      this.#narrow = narrow.matches;
      this.#set(this.#layout);
    };
    narrow.addEventListener("change", follow);
    return () => narrow.removeEventListener("change", follow);
  }

  /** The focus is in this terminal's pane now. */
  noteFocus(terminal: string): void {
    if (terminal !== this.focused) this.#set(focus(this.#layout, terminal));
  }

  /** Shows a terminal, in a new tab when it is in none, without the focus. */
  reveal(terminal: string): void {
    const shown = shownTerminals(this.#layout).includes(terminal);
    this.#set(shown ? focus(this.#layout, terminal) : addTab(this.#layout, terminal));
  }

  /** Shows a terminal and gives it the focus. */
  goTo(terminal: string): void {
    this.reveal(terminal);
    void this.focus();
  }

  /** Gives the focus to the terminal that has it among the panes. */
  async focus(): Promise<void> {
    await tick();
    this.live?.focus();
  }

  resize(path: Path, ratio: number): void {
    this.#set(resize(this.#layout, path, ratio));
  }

  /** Closes panes, and ends what is in them, but for `main`. Asks first when something is likely to be lost. */
  close(terminals: string[]): void {
    if (this.alone && terminals.includes(MAIN)) return;
    const used = terminals.some((terminal) => terminal !== MAIN && this.lives.get(terminal)?.inUse);
    if (used) this.closing = terminals;
    else this.#close(terminals);
  }

  /** The answer to `closing`. */
  answer(agreed: boolean): void {
    const terminals = this.closing;
    this.closing = null;
    if (terminals && agreed) this.#close(terminals);
    else void this.focus();
  }

  /** Connects whatever has been disconnected for good, but for programs that have ended. */
  reconnect(): void {
    for (const live of this.lives.values()) {
      if (live.status.kind === "ended" && live.status.end.kind !== "exit") live.connect();
    }
    this.live?.focus();
  }

  retryNow(): void {
    for (const live of this.lives.values()) live.retryNow();
  }

  /** Starts a terminal's program again; one that was closed elsewhere meanwhile gives its pane to a new one. */
  async restart(terminal: string): Promise<void> {
    const live = this.lives.get(terminal);
    if (!live) return;
    const gone = terminal !== MAIN && (await this.#terminals.learn()) && !this.#terminals.names.has(terminal);
    if (gone) {
      this.#show(replace(this.#layout, terminal, this.#newName()));
    } else {
      live.connect(true);
      live.focus();
    }
  }

  /** The session is gone, and with it whatever was where. */
  forget(): void {
    this.#memory.forget(this.#session);
  }

  #set(layout: Layout): void {
    this.#layout = layout;
    this.#memory.save(this.#session, layout);
    if (!this.#running && this.#placed.length === 0) return;
    const shown = shownTerminals(layout);
    const seen = [...this.#arrangement.panes.keys()].filter((terminal) => !this.#placed.includes(terminal));
    this.#placed = [...this.#placed.filter((terminal) => shown.includes(terminal)), ...seen];
  }

  #show(layout: Layout): void {
    this.#set(layout);
    void this.focus();
  }

  #showNeighbour(by: 1 | -1): void {
    const { length } = this.entries;
    const at = this.entries.findIndex(({ active }) => active);
    this.goTo(this.entries[(at + by + length) % length]!.lead);
  }

  /** The nearest divider, or when one was chosen before, the one farther out. */
  #chooseDivider(): void {
    const dividers = dividersOf(this.#arrangement, this.focused);
    const at = dividers.findIndex(({ path }) => path.join() === this.resizing?.path.join());
    this.resizing = dividers[(at + 1) % dividers.length]!;
  }

  #split(axis: Axis): void {
    const size = this.live?.size;
    const halves = axis === "row" ? (size?.cols ?? 0) / LEAST.cols : (size?.rows ?? 0) / LEAST.rows;
    if (halves >= 2) this.#add(axis);
    else toasts.show("split", "There is no room for another pane here.");
  }

  #add(axis: Axis | null): void {
    const name = this.#newName();
    this.#set(axis ? splitFocused(this.#layout, axis, name) : addTab(this.#layout, name));
  }

  /** The name of a terminal that is opened when its pane is there. */
  #newName(): string {
    const name = this.#terminals.freeName(shownTerminals(this.#layout));
    this.#unopened.add(name);
    return name;
  }

  /** Opens the terminal at the size of its pane when it is new, and connects. */
  async #start(terminal: string, live: LiveTerminal): Promise<void> {
    if (this.#unopened.delete(terminal)) {
      const outcome = await this.#terminals.open(terminal, live.size);
      if (outcome === "taken") this.#show(replace(this.#layout, terminal, this.#newName()));
      else if (outcome === "failed") this.#show(close(this.#layout, terminal));
      if (outcome !== "open") return;
    }
    if (this.lives.get(terminal) !== live) return;
    live.connect();
    if (terminal === this.focused) live.focus();
  }

  #close(terminals: string[]): void {
    this.#show(terminals.reduce((layout, terminal) => close(layout, terminal), this.#layout));
    for (const terminal of terminals) {
      if (terminal !== MAIN && this.#running) void this.#terminals.end(terminal);
    }
  }
}
