import type { Terminal } from "./terminal.ts";

/**
 * Ends an insertion in busybox's vi. The status line tells its mode; without
 * waiting for it, the editor may take Escape and the next key for one.
 */
export async function endInsertion(terminal: Terminal, file: string): Promise<void> {
  await terminal.shows(new RegExp(`^I ${file}`));
  await terminal.page.keyboard.press("Escape");
  await terminal.shows(new RegExp(`^- ${file}`));
}
