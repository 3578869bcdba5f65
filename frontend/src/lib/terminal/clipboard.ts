import type { Terminal } from "@xterm/xterm";
import { toasts } from "../toasts.svelte";
import { offeredText } from "./osc52";

const TOAST = "clipboard";

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

/** Copies what the person has asked for, and says so when it cannot be. */
export async function copyOrSay(text: string): Promise<void> {
  try {
    await copyText(text);
  } catch {
    toasts.show(TOAST, "The browser did not allow copying.");
  }
}

/** What is on the clipboard; null, and a word about it, when the browser does not give it. */
export async function readOrSay(): Promise<string | null> {
  try {
    return await navigator.clipboard.readText();
  } catch {
    toasts.show(TOAST, "The browser did not allow pasting this way. Ctrl-Shift-V or Cmd-V does.");
    return null;
  }
}

/**
 * A program may offer text (OSC 52); only the person puts it on the clipboard.
 * What is on the clipboard no program is told, and so the question is not answered.
 */
export function allowClipboardWrites(terminal: Terminal): void {
  terminal.parser.registerOscHandler(52, (data) => {
    const text = offeredText(data);
    if (text) offer(text);
    return true;
  });
}

function offer(text: string): void {
  const ignore = () => toasts.dismiss(TOAST);
  toasts.show(TOAST, `The program wants to copy ${text.length.toLocaleString("en")} characters.`, [
    {
      label: "Copy",
      run: () => {
        ignore();
        void copyOrSay(text);
      },
    },
    { label: "Ignore", run: ignore },
  ]);
}
