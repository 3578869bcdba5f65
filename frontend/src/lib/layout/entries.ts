import type { Layout } from "./layout";
import { terminalsOf } from "./tree";

/** What the tab bar shows: a tab, or where panes are shown one at a time, a pane. */
export interface Entry {
  key: string;
  terminals: string[];
  /** The one that gives the entry its title. */
  lead: string;
  active: boolean;
}

export function entriesOf(layout: Layout, paneByPane: boolean): Entry[] {
  return layout.tabs.flatMap(({ id, tree, focused }, index) => {
    const shown = index === layout.active;
    const terminals = terminalsOf(tree);
    if (!paneByPane) return [{ key: String(id), terminals, lead: focused, active: shown }];
    return terminals.map((terminal) => ({
      key: terminal,
      terminals: [terminal],
      lead: terminal,
      active: shown && terminal === focused,
    }));
  });
}
