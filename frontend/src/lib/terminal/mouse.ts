import type { Terminal } from "@xterm/xterm";
import { hasPrimarySelection, onMac } from "../platform";
import type { Preferences } from "../preferences";
import { copyOrSay, readOrSay } from "./clipboard";
import { MiddleClick } from "./middle-click";

/** What the mouse does in a terminal besides what xterm.js does: copying, pasting, menus. */
export class Mouse {
  readonly #middle: MiddleClick;
  readonly #ended = new AbortController();
  /** What was selected last with the mouse, also when it no longer is. */
  #selected = "";

  /** `paste` is given what the person pastes, in whatever way. */
  constructor(
    host: HTMLElement,
    private readonly terminal: Terminal,
    private readonly chosen: () => Pick<Preferences, "copyOnSelect" | "rightClick">,
    private readonly paste: (text: string) => void,
  ) {
    this.#middle = new MiddleClick(paste);
    // Before xterm.js, whose own handling this takes the place of.
    const options = { capture: true, signal: this.#ended.signal };
    host.addEventListener("mousedown", (event) => this.#pressed(event), options);
    host.addEventListener("auxclick", (event) => this.#auxiliary(event), options);
    host.addEventListener("contextmenu", (event) => this.#menu(event), options);
    host.addEventListener("paste", (event) => this.#pasted(event), options);
  }

  dispose(): void {
    this.#ended.abort();
    this.#middle.dispose();
  }

  #pressed(event: MouseEvent): void {
    if (event.button !== 0) return;
    // The button may be let go outside of the terminal. xterm.js, which listens to the document, has
    // selected before the window hears of it.
    window.addEventListener("mouseup", () => this.#select(), { once: true, signal: this.#ended.signal });
  }

  #select(): void {
    const text = this.terminal.getSelection();
    if (!text) return;
    this.#selected = text;
    if (this.chosen().copyOnSelect) void copyOrSay(text);
  }

  #auxiliary(event: MouseEvent): void {
    if (event.button !== 1 || !hasPrimarySelection) return;
    if (this.#isPrograms(event)) this.#middle.refused();
    else this.#middle.clicked(this.#selected);
  }

  #menu(event: MouseEvent): void {
    const { rightClick } = this.chosen();
    const programs = this.#isPrograms(event);
    // xterm.js puts its field under the mouse, so that the browser's menu can copy and paste.
    if (rightClick === "menu" && !programs) return;
    event.preventDefault();
    event.stopPropagation();
    if (programs) return;
    if (rightClick === "copy-paste" && this.terminal.hasSelection()) {
      void copyOrSay(this.terminal.getSelection());
      this.terminal.clearSelection();
    } else {
      void readOrSay().then((text) => text && this.paste(text));
    }
  }

  /** xterm.js would let the browser put the text into its field as well, which takes long for a large one. */
  #pasted(event: ClipboardEvent): void {
    event.preventDefault();
    event.stopPropagation();
    if (this.terminal.textarea) this.terminal.textarea.value = "";
    const text = event.clipboardData?.getData("text/plain");
    if (text && this.#middle.browserPastes()) this.paste(text);
  }

  /** Whether a click goes to a program that has asked for the mouse; Shift, or Option on a Mac, keeps it. */
  #isPrograms(event: MouseEvent): boolean {
    return this.terminal.modes.mouseTrackingMode !== "none" && !(onMac ? event.altKey : event.shiftKey);
  }
}
