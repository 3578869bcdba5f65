/** What can be done with tabs and panes, and the keys that do it. */

export type CommandName =
  | "new-tab"
  | "split-right"
  | "split-below"
  | "next-pane"
  | "previous-pane"
  | "resize-pane"
  | "next-tab"
  | "previous-tab"
  | "close-pane";

export interface Command {
  name: CommandName;
  label: string;
  icon: "back" | "close" | "forward" | "next-pane" | "plus" | "previous-pane" | "resize" | "split-below" | "split-right";
  /** With Ctrl and Shift, which no shell can tell from Ctrl alone, and none that browsers keep for themselves. */
  letter: string;
}

export const COMMANDS: readonly Command[] = [
  { name: "new-tab", label: "New tab", icon: "plus", letter: "A" },
  { name: "split-right", label: "Split right", icon: "split-right", letter: "E" },
  { name: "split-below", label: "Split below", icon: "split-below", letter: "O" },
  { name: "next-pane", label: "Next pane", icon: "next-pane", letter: "J" },
  { name: "previous-pane", label: "Previous pane", icon: "previous-pane", letter: "K" },
  { name: "resize-pane", label: "Resize pane", icon: "resize", letter: "D" },
  { name: "previous-tab", label: "Previous tab", icon: "back", letter: "H" },
  { name: "next-tab", label: "Next tab", icon: "forward", letter: "L" },
  { name: "close-pane", label: "Close pane", icon: "close", letter: "X" },
];

/** The command that a key press asks for, by the place of the key on the keyboard. */
export function commandOf(
  event: Pick<KeyboardEvent, "ctrlKey" | "shiftKey" | "altKey" | "metaKey" | "code">,
): CommandName | null {
  if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return null;
  return COMMANDS.find(({ letter }) => event.code === `Key${letter}`)?.name ?? null;
}

/** The keys of a command, for people. */
export function keysOf(name: CommandName): string {
  return `Ctrl-Shift-${COMMANDS.find((command) => command.name === name)!.letter}`;
}
