import { WebLinksAddon } from "@xterm/addon-web-links";
import type { ILinkHandler, Terminal } from "@xterm/xterm";
import { onMac } from "../platform";
import { toasts } from "../toasts.svelte";

const TOAST = "link";

const LONGEST_SHOWN = 300;

/** Whether links open only with a modifier, as the person has chosen. */
type NeedsModifier = () => boolean;

/** Links in the output: what they say when the mouse is over them, and how they are followed. */
export class Links {
  readonly #hint = document.createElement("div");
  readonly handler: ILinkHandler;

  constructor(private readonly needsModifier: NeedsModifier) {
    this.#hint.className = "link-hint";
    // Words of the program's are not what the link says, so where one leads is always shown.
    this.handler = {
      activate: (event, address) => this.#activate(event, address),
      hover: (event, address) => this.#show(event, address),
      leave: () => this.#hint.remove(),
    };
  }

  /** Makes addresses in the output links. They are what they look like. */
  openPlain(terminal: Terminal): void {
    const { hover, leave } = this.handler;
    terminal.loadAddon(
      new WebLinksAddon((event, address) => this.#activate(event, address), {
        hover: (event, address) => hover!(event, address, EVERYWHERE),
        leave: (event, address) => leave!(event, address, EVERYWHERE),
      }),
    );
  }

  dispose(): void {
    this.#hint.remove();
  }

  /** Without the modifier, a click is the terminal's. A finger has none, and is asked. */
  #activate(event: MouseEvent, address: string): void {
    if (event.button !== 0 || !isWebAddress(address)) return;
    if (matchMedia("(pointer: coarse)").matches) this.#ask(address);
    else if (!this.needsModifier() || (onMac ? event.metaKey : event.ctrlKey)) open(address);
  }

  #ask(address: string): void {
    const close = () => toasts.dismiss(TOAST);
    const follow = () => {
      close();
      open(address);
    };
    toasts.show(TOAST, `This leads to ${shortened(address)}`, [
      { label: "Open", run: follow },
      { label: "Cancel", run: close },
    ]);
  }

  #show(event: MouseEvent, address: string): void {
    if (!isWebAddress(address)) return;
    const where = document.createElement("span");
    where.textContent = shortened(address);
    const how = document.createElement("span");
    const click = onMac ? "Cmd-click" : "Ctrl-click";
    how.textContent = this.needsModifier() ? `${click} opens this` : "A click opens this";
    this.#hint.replaceChildren(where, how);
    document.body.append(this.#hint);
    // Beside the mouse, below it where there is room, and inside the page.
    const { width, height } = this.#hint.getBoundingClientRect();
    const below = event.clientY + 20;
    const top = below + height < innerHeight ? below : event.clientY - height - 12;
    this.#hint.style.left = `${Math.max(8, Math.min(event.clientX, innerWidth - width - 8))}px`;
    this.#hint.style.top = `${Math.max(8, top)}px`;
  }
}

/** Where in the terminal a link is makes no difference here. */
const EVERYWHERE = { start: { x: 1, y: 1 }, end: { x: 1, y: 1 } };

export function isWebAddress(address: string): boolean {
  try {
    return ["http:", "https:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}

/** The host is at the beginning, and has to be seen. */
function shortened(address: string): string {
  return address.length > LONGEST_SHOWN ? `${address.slice(0, LONGEST_SHOWN)}…` : address;
}

function open(address: string): void {
  window.open(address, "_blank", "noopener,noreferrer");
}
