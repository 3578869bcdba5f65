/** A layout as text, and back. What comes back may have been written by anybody. */
import type { Layout, Tab } from "./layout";
import { shownTerminals } from "./layout";
import { boundedRatio, pane, terminalsOf, type Tree } from "./tree";

/** A longer text is not looked at. */
const LONGEST = 16_384;

/** As many terminals as a session may have. */
const MOST_TERMINALS = 32;

const TERMINAL_NAME = /^[\w.-]{1,64}$/;

/** A pane is its terminal's name, a split is what it needs. */
type StoredTree = string | { axis: string; ratio: number; first: StoredTree; second: StoredTree };

export function serialise(layout: Layout): string {
  const tabs = layout.tabs.map(({ tree, focused }) => ({ tree: storedTree(tree), focused }));
  return JSON.stringify({ tabs, active: layout.active });
}

/** The layout that `text` is, or null when it is none. */
export function restore(text: string): Layout | null {
  if (text.length > LONGEST) return null;
  try {
    return readLayout(JSON.parse(text));
  } catch {
    return null;
  }
}

function storedTree(tree: Tree): StoredTree {
  if (tree.kind === "pane") return tree.terminal;
  const { axis, ratio, first, second } = tree;
  return { axis, ratio, first: storedTree(first), second: storedTree(second) };
}

function readLayout(value: unknown): Layout {
  const { tabs, active } = fieldsOf(value);
  if (!Array.isArray(tabs) || tabs.length === 0) throw new Error("a layout has tabs");
  const layout = { tabs: tabs.map(readTab), active: Number(active) };
  if (!Number.isInteger(active) || !layout.tabs[layout.active]) throw new Error("one of the tabs is shown");
  const terminals = shownTerminals(layout);
  if (terminals.length > MOST_TERMINALS) throw new Error("too many terminals");
  if (new Set(terminals).size < terminals.length) throw new Error("a terminal is shown once");
  return layout;
}

function readTab(value: unknown, id: number): Tab {
  const fields = fieldsOf(value);
  const tree = readTree(fields.tree);
  const focused = String(fields.focused);
  if (!terminalsOf(tree).includes(focused)) throw new Error("the focus is in the tab");
  return { id, tree, focused };
}

function readTree(value: unknown): Tree {
  if (typeof value === "string") {
    if (!TERMINAL_NAME.test(value)) throw new Error("that is no terminal's name");
    return pane(value);
  }
  const { axis, ratio, first, second } = fieldsOf(value);
  if (axis !== "row" && axis !== "column") throw new Error("a split has an axis");
  if (typeof ratio !== "number") throw new Error("a split has a ratio");
  return { kind: "split", axis, ratio: boundedRatio(ratio), first: readTree(first), second: readTree(second) };
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw new Error("that is no object");
  return value as Record<string, unknown>;
}
