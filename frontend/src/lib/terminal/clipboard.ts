import { ClipboardAddon, type IClipboardProvider } from "@xterm/addon-clipboard";
import type { Terminal } from "@xterm/xterm";
import { toasts } from "../toasts.svelte";

const TOAST = "clipboard";

/** The most that a program may offer to copy. */
const LONGEST = 1024 * 1024;

/**
 * Puts text on the clipboard. The modern way is missing on pages that came over
 * plain HTTP from another machine; the old one copies what a field has selected.
 */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.createElement("textarea");
  field.value = text;
  const before = document.activeElement;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (before instanceof HTMLElement) before.focus();
  if (!copied) throw new Error("The browser does not allow copying here.");
}

/** A program may offer text (OSC 52); only the person puts it on the clipboard. */
const provider: IClipboardProvider = {
  readText: () => "",
  writeText(_selection, text) {
    if (text.length === 0 || text.length > LONGEST) return;
    const ignore = () => toasts.dismiss(TOAST);
    const copy = async () => {
      ignore();
      try {
        await copyText(text);
      } catch {
        toasts.show(TOAST, "The browser did not allow copying.");
      }
    };
    toasts.show(TOAST, `The program wants to copy ${text.length.toLocaleString("en")} characters.`, [
      { label: "Copy", run: () => void copy() },
      { label: "Ignore", run: ignore },
    ]);
  },
};

/** Lets programs write to the clipboard, after consent, and never read it. */
export function allowClipboardWrites(terminal: Terminal): void {
  terminal.loadAddon(new ClipboardAddon(undefined, provider));
  // Asked later, so before the add-on: a request to read is not even answered.
  terminal.parser.registerOscHandler(52, (data) => data.endsWith(";?"));
}
