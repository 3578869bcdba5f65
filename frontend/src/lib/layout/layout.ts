/**
 * Which terminals of a session the page shows, and where: tabs, each of which
 * is a tree of panes. Every change gives another layout. A layout always has a
 * tab, and a terminal is in it once at most.
 */
import {
  heirOf,
  pane,
  split,
  terminalsOf,
  without,
  withRatio,
  withTerminal,
  type Axis,
  type Path,
  type Tree,
} from "./tree";

export interface Tab {
  /** Tells it from the others, as long as the page is open. */
  id: number;
  tree: Tree;
  /** The terminal whose pane has the focus when the tab is shown. */
  focused: string;
}

export interface Layout {
  tabs: Tab[];
  /** The place of the tab that is shown. */
  active: number;
}

/** The terminal that every session has. */
export const MAIN = "main";

/** One terminal and nothing else. */
export function single(terminal: string = MAIN): Layout {
  return { tabs: [newTab(0, terminal)], active: 0 };
}

export function activeTab(layout: Layout): Tab {
  return layout.tabs[layout.active]!;
}

/** Every terminal that is in some tab. */
export function shownTerminals(layout: Layout): string[] {
  return layout.tabs.flatMap((tab) => terminalsOf(tab.tree));
}

/** Whether this is what is shown when nothing else was asked for. */
export function isUsual(layout: Layout): boolean {
  return layout.tabs.length === 1 && shownTerminals(layout).join() === MAIN;
}

/** Shows `terminal` in a new tab behind the others. */
export function addTab(layout: Layout, terminal: string): Layout {
  const id = Math.max(...layout.tabs.map((tab) => tab.id)) + 1;
  return { tabs: [...layout.tabs, newTab(id, terminal)], active: layout.tabs.length };
}

/** Halves the pane with the focus, and gives the second half and the focus to `terminal`. */
export function splitFocused(layout: Layout, axis: Axis, terminal: string): Layout {
  return changeActive(layout, (tab) => ({
    ...tab,
    tree: split(tab.tree, tab.focused, axis, terminal),
    focused: terminal,
  }));
}

/** Shows the tab of `terminal`, and gives its pane the focus. */
export function focus(layout: Layout, terminal: string): Layout {
  const active = layout.tabs.findIndex((tab) => terminalsOf(tab.tree).includes(terminal));
  if (active < 0) return layout;
  return changeActive({ ...layout, active }, (tab) => ({ ...tab, focused: terminal }));
}

/** Gives the focus to the next pane of the tab, behind the last to the first; `by` is 1, or -1 for the one before. */
export function focusNextPane(layout: Layout, by: 1 | -1): Layout {
  return changeActive(layout, (tab) => {
    const terminals = terminalsOf(tab.tree);
    const next = (terminals.indexOf(tab.focused) + by + terminals.length) % terminals.length;
    return { ...tab, focused: terminals[next]! };
  });
}

/** Moves a divider of the tab that is shown. */
export function resize(layout: Layout, path: Path, ratio: number): Layout {
  return changeActive(layout, (tab) => ({ ...tab, tree: withRatio(tab.tree, path, ratio) }));
}

/** Takes the pane of `terminal` away, and its tab with the last one; when nothing is left, `main` is shown. */
export function close(layout: Layout, terminal: string): Layout {
  const at = layout.tabs.findIndex((tab) => terminalsOf(tab.tree).includes(terminal));
  const tab = layout.tabs[at];
  if (!tab) return layout;
  const tree = without(tab.tree, terminal);
  if (tree) {
    const focused = tab.focused === terminal ? heirOf(tab.tree, terminal)! : tab.focused;
    return { ...layout, tabs: layout.tabs.with(at, { ...tab, tree, focused }) };
  }
  const tabs = layout.tabs.toSpliced(at, 1);
  if (tabs.length === 0) return single();
  // The next one takes its place, or the one before when it was the last.
  const active = at < layout.active ? layout.active - 1 : Math.min(layout.active, tabs.length - 1);
  return { tabs, active };
}

/** Leaves out whatever is not there any more. */
export function keepOnly(layout: Layout, existing: ReadonlySet<string>): Layout {
  const gone = shownTerminals(layout).filter((terminal) => !existing.has(terminal));
  return gone.reduce((rest, terminal) => close(rest, terminal), layout);
}

/** Shows another terminal in the pane of `terminal`. */
export function replace(layout: Layout, terminal: string, by: string): Layout {
  const tabs = layout.tabs.map(({ id, tree, focused }) => ({
    id,
    tree: withTerminal(tree, terminal, by),
    focused: focused === terminal ? by : focused,
  }));
  return { ...layout, tabs };
}

function newTab(id: number, terminal: string): Tab {
  return { id, tree: pane(terminal), focused: terminal };
}

function changeActive(layout: Layout, change: (tab: Tab) => Tab): Layout {
  return { ...layout, tabs: layout.tabs.with(layout.active, change(activeTab(layout))) };
}
