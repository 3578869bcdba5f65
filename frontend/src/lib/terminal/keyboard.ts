/** What the page does for keys instead of giving them to the program. */
export interface Shortcuts {
  copy(): void;
  search(): void;
  menu(): void;
}

/** Handles the page's own keys. Returns whether xterm.js shall handle the key as well. */
export function handleShortcut(event: KeyboardEvent, shortcuts: Shortcuts): boolean {
  if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return true;
  // The browser pastes by itself, and so needs no permission to.
  if (event.code === "KeyV") return false;
  const run = { KeyC: shortcuts.copy, KeyF: shortcuts.search, KeyM: shortcuts.menu }[event.code];
  if (!run) return true;
  event.preventDefault();
  if (event.type === "keydown") run();
  return false;
}
