/**
 * How a tab is divided: it is one pane, which shows a terminal, or a split of
 * two parts that may be split themselves. Every change gives another tree.
 */

/** `row`: the parts are side by side; `column`: one is above the other. */
export type Axis = "row" | "column";

export interface Pane {
  kind: "pane";
  terminal: string;
}

export interface Split {
  kind: "split";
  axis: Axis;
  /** How much of the room the first part has, of 1. */
  ratio: number;
  first: Tree;
  second: Tree;
}

export type Tree = Pane | Split;

/** The way from the root of a tree to one of its splits. */
export type Path = ("first" | "second")[];

/** A place in the room that a tree has, in parts of 1. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Divider {
  path: Path;
  axis: Axis;
  ratio: number;
  /** The room of both parts together. */
  box: Box;
  /** The terminals before and behind it. */
  sides: [string[], string[]];
}

export interface Arrangement {
  panes: Map<string, Box>;
  dividers: Divider[];
}

/** No part of a split becomes smaller than this. */
export const SMALLEST_RATIO = 0.1;

const EVERYTHING: Box = { left: 0, top: 0, width: 1, height: 1 };

export function pane(terminal: string): Pane {
  return { kind: "pane", terminal };
}

/** The terminals of a tree, from left to right and from above to below. */
export function terminalsOf(tree: Tree): string[] {
  if (tree.kind === "pane") return [tree.terminal];
  return [...terminalsOf(tree.first), ...terminalsOf(tree.second)];
}

/** Halves the pane of `terminal`; the second half is `added`'s. */
export function split(tree: Tree, terminal: string, axis: Axis, added: string): Tree {
  if (tree.kind === "pane") {
    if (tree.terminal !== terminal) return tree;
    return { kind: "split", axis, ratio: 0.5, first: tree, second: pane(added) };
  }
  return {
    ...tree,
    first: split(tree.first, terminal, axis, added),
    second: split(tree.second, terminal, axis, added),
  };
}

/** Leaves the pane of `terminal` out, whose room goes to the other part; null when nothing is left. */
export function without(tree: Tree, terminal: string): Tree | null {
  if (tree.kind === "pane") return tree.terminal === terminal ? null : tree;
  const first = without(tree.first, terminal);
  const second = without(tree.second, terminal);
  return first && second ? { ...tree, first, second } : (first ?? second);
}

/** The terminal next to `terminal`, in the part that gets its room when it goes; null when it is alone. */
export function heirOf(tree: Tree, terminal: string): string | null {
  if (tree.kind === "pane") return null;
  const { first, second } = tree;
  if (first.kind === "pane" && first.terminal === terminal) return terminalsOf(second)[0]!;
  if (second.kind === "pane" && second.terminal === terminal) return terminalsOf(first).at(-1)!;
  return heirOf(first, terminal) ?? heirOf(second, terminal);
}

/** Shows another terminal in the pane of `terminal`. */
export function withTerminal(tree: Tree, terminal: string, by: string): Tree {
  if (tree.kind === "pane") return tree.terminal === terminal ? pane(by) : tree;
  return {
    ...tree,
    first: withTerminal(tree.first, terminal, by),
    second: withTerminal(tree.second, terminal, by),
  };
}

/** Moves the divider of the split at `path`. */
export function withRatio(tree: Tree, path: Path, ratio: number): Tree {
  if (tree.kind === "pane") return tree;
  const [part, ...rest] = path;
  if (part) return { ...tree, [part]: withRatio(tree[part], rest, ratio) };
  return { ...tree, ratio: boundedRatio(ratio) };
}

export function boundedRatio(ratio: number): number {
  return Math.min(1 - SMALLEST_RATIO, Math.max(SMALLEST_RATIO, ratio));
}

/** The dividers that change the size of a terminal's pane, the nearest first. */
export function dividersOf({ dividers }: Arrangement, terminal: string): Divider[] {
  return dividers.filter(({ sides }) => sides.flat().includes(terminal)).reverse();
}

/** Where the panes of a tree and the dividers between them are. */
export function arrange(tree: Tree): Arrangement {
  const arrangement: Arrangement = { panes: new Map(), dividers: [] };
  place(tree, EVERYTHING, [], arrangement);
  return arrangement;
}

function place(tree: Tree, box: Box, path: Path, into: Arrangement): void {
  if (tree.kind === "pane") {
    into.panes.set(tree.terminal, box);
    return;
  }
  const { axis, ratio, first, second } = tree;
  into.dividers.push({ path, axis, ratio, box, sides: [terminalsOf(first), terminalsOf(second)] });
  const [before, behind] = halves(box, axis, ratio);
  place(first, before, [...path, "first"], into);
  place(second, behind, [...path, "second"], into);
}

function halves(box: Box, axis: Axis, ratio: number): [Box, Box] {
  if (axis === "row") {
    const width = box.width * ratio;
    return [
      { ...box, width },
      { ...box, left: box.left + width, width: box.width - width },
    ];
  }
  const height = box.height * ratio;
  return [
    { ...box, height },
    { ...box, top: box.top + height, height: box.height - height },
  ];
}
