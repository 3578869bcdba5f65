import { WebglAddon } from "@xterm/addon-webgl";
import type { Terminal } from "@xterm/xterm";

/** `dom` here keeps WebGL off: for tests, and for machines where it misbehaves. */
const KEY = "shellport.renderer";

/** Draws with WebGL where that works; xterm.js draws with the DOM otherwise. */
export function accelerate(terminal: Terminal): void {
  if (localStorage.getItem(KEY) === "dom") return;
  try {
    const addon = new WebglAddon();
    addon.onContextLoss(() => addon.dispose());
    terminal.loadAddon(addon);
  } catch {
    // No WebGL in this browser: the DOM renderer is already in place.
  }
}
