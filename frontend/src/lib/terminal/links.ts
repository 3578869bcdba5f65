import { WebLinksAddon } from "@xterm/addon-web-links";
import type { ILinkHandler, Terminal } from "@xterm/xterm";
import { toasts } from "../toasts.svelte";

const TOAST = "link";

/** Makes addresses in the output clickable. They are what they look like. */
export function openPlainLinks(terminal: Terminal): void {
  terminal.loadAddon(new WebLinksAddon((_event, address) => open(address)));
}

/**
 * Links that a program has put behind other words (OSC 8). Where one leads is
 * shown before it is followed.
 */
export const hyperlinks: ILinkHandler = {
  activate(_event, address) {
    const close = () => toasts.dismiss(TOAST);
    toasts.show(TOAST, `This leads to ${address}`, [
      {
        label: "Open",
        run: () => {
          close();
          open(address);
        },
      },
      { label: "Cancel", run: close },
    ]);
  },
};

function open(address: string): void {
  const { protocol } = new URL(address);
  if (protocol === "http:" || protocol === "https:") {
    window.open(address, "_blank", "noopener,noreferrer");
  }
}
