import { expect, test } from "vitest";
import {
  activeTab,
  addTab,
  close,
  focus,
  focusNextPane,
  isUsual,
  keepOnly,
  replace,
  resize,
  shownTerminals,
  single,
  splitFocused,
  type Layout,
} from "../src/lib/layout/layout";
import { COMMANDS, commandOf } from "../src/lib/layout/commands";
import { entriesOf } from "../src/lib/layout/entries";
import { freeName } from "../src/lib/layout/names";
import { arrange, dividersOf, heirOf, terminalsOf } from "../src/lib/layout/tree";

/** `main` to the left, `b` above `c` to the right of it. */
const three = () => splitFocused(splitFocused(single(), "row", "b"), "column", "c");

const focused = (layout: Layout) => activeTab(layout).focused;

test("a split halves the pane with the focus and gets the focus", () => {
  const layout = three();
  expect(focused(layout)).toBe("c");
  expect(Object.fromEntries(arrange(activeTab(layout).tree).panes)).toEqual({
    main: { left: 0, top: 0, width: 0.5, height: 1 },
    b: { left: 0.5, top: 0, width: 0.5, height: 0.5 },
    c: { left: 0.5, top: 0.5, width: 0.5, height: 0.5 },
  });
});

test("a divider lies between its neighbours and is moved alone, within its bounds", () => {
  const { dividers } = arrange(activeTab(three()).tree);
  expect(dividers.map(({ axis, sides }) => [axis, ...sides])).toEqual([
    ["row", ["main"], ["b", "c"]],
    ["column", ["b"], ["c"]],
  ]);
  const moved = resize(three(), dividers[1]!.path, 0.25);
  const { panes } = arrange(activeTab(moved).tree);
  expect(panes.get("main")).toEqual({ left: 0, top: 0, width: 0.5, height: 1 });
  expect(panes.get("c")).toEqual({ left: 0.5, top: 0.25, width: 0.5, height: 0.75 });
  expect(arrange(activeTab(resize(moved, [], 7)).tree).dividers[0]!.ratio).toBe(0.9);
  expect(arrange(activeTab(resize(moved, [], -7)).tree).dividers[0]!.ratio).toBe(0.1);
});

test("the dividers of a pane are those around it, from the nearest on", () => {
  const arrangement = arrange(activeTab(three()).tree);
  expect(dividersOf(arrangement, "c").map(({ axis }) => axis)).toEqual(["column", "row"]);
  expect(dividersOf(arrangement, "main").map(({ axis }) => axis)).toEqual(["row"]);
});

test("panes fill the room without overlapping, however it was split and resized", () => {
  let layout = single();
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let count = 1; count < 20; count += 1) {
    layout = focus(layout, shownTerminals(layout)[random(count)]!);
    layout = splitFocused(layout, random(2) ? "row" : "column", `t${count}`);
    const { panes, dividers } = arrange(activeTab(layout).tree);
    layout = resize(layout, dividers[random(dividers.length)]!.path, random(100) / 100);
    const area = [...panes.values()].reduce((sum, { width, height }) => sum + width * height, 0);
    expect([panes.size, dividers.length]).toEqual([count + 1, count]);
    expect(area).toBeCloseTo(1);
    for (const { left, top, width, height } of panes.values()) {
      expect(Math.min(left, top, 1 - left - width + 1e-9, 1 - top - height + 1e-9)).toBeGreaterThanOrEqual(0);
    }
  }
});

test("the neighbour takes over the room and the focus of a pane that is closed", () => {
  expect(focused(close(three(), "c"))).toBe("b");
  expect(focused(close(focus(three(), "b"), "b"))).toBe("c");
  const without = close(focus(three(), "main"), "main");
  expect(focused(without)).toBe("b");
  expect(arrange(activeTab(without).tree).panes.get("b")).toEqual({ left: 0, top: 0, width: 1, height: 0.5 });
  expect(heirOf(single().tabs[0]!.tree, "main")).toBeNull();
});

test("closing another pane than the one with the focus leaves the focus alone", () => {
  expect(focused(close(three(), "main"))).toBe("c");
  expect(close(three(), "unknown")).toEqual(three());
});

test("the last pane of a tab takes the tab with it, and something is always shown", () => {
  const tabs = addTab(addTab(single(), "b"), "c");
  expect([shownTerminals(tabs), tabs.active]).toEqual([["main", "b", "c"], 2]);
  expect(focused(close(tabs, "c"))).toBe("b");
  expect(focused(close(tabs, "main"))).toBe("c");
  expect(focused(close(focus(tabs, "main"), "main"))).toBe("b");
  expect(close(close(close(tabs, "b"), "main"), "c")).toEqual(single());
});

test("tabs keep their identity while others come and go", () => {
  const tabs = close(addTab(addTab(single(), "b"), "c"), "b");
  const more = addTab(tabs, "d");
  expect(new Set(more.tabs.map(({ id }) => id)).size).toBe(3);
  expect(more.tabs.slice(0, 2).map(({ id }) => id)).toEqual(tabs.tabs.map(({ id }) => id));
});

test("the focus goes around the panes in both directions, and to other tabs by name", () => {
  let layout = addTab(three(), "d");
  expect(focused(focusNextPane(layout, 1))).toBe("d");
  layout = focus(layout, "main");
  const visited = [1, 2, 3].map(() => focused((layout = focusNextPane(layout, 1))));
  expect(visited).toEqual(["b", "c", "main"]);
  expect(focused(focusNextPane(layout, -1))).toBe("c");
  expect(focus(layout, "unknown")).toBe(layout);
});

test("what is gone is left out, and main comes back when nothing else is left", () => {
  const layout = addTab(three(), "d");
  expect(shownTerminals(keepOnly(layout, new Set(["main", "c"])))).toEqual(["main", "c"]);
  expect(keepOnly(addTab(single("b"), "c"), new Set(["main"]))).toEqual(single());
});

test("another terminal takes the place of one, with its focus", () => {
  const layout = replace(three(), "c", "x");
  expect([shownTerminals(layout), focused(layout)]).toEqual([["main", "b", "x"], "x"]);
  expect(focused(replace(three(), "b", "x"))).toBe("c");
});

test("a new terminal has the first name that is free", () => {
  expect(freeName([])).toBe("shell-2");
  expect(freeName(["main", "shell-2", "shell-4"])).toBe("shell-3");
});

test("commands have keys of their own, with Ctrl and Shift and nothing else", () => {
  const press = { ctrlKey: true, shiftKey: true, altKey: false, metaKey: false, code: "KeyE" };
  expect(commandOf(press)).toBe("split-right");
  expect(commandOf({ ...press, shiftKey: false })).toBeNull();
  expect(commandOf({ ...press, altKey: true })).toBeNull();
  expect(commandOf({ ...press, code: "KeyZ" })).toBeNull();
  // The page has these already, and browsers keep the others for themselves.
  const letters = [..."CVFM", ..."NPQTW", ...COMMANDS.map(({ letter }) => letter)];
  expect(new Set(letters).size).toBe(letters.length);
});

test("the tab bar has an entry a tab, or a pane where those are shown one at a time", () => {
  const layout = focus(addTab(three(), "d"), "b");
  const brief = (paneByPane: boolean) =>
    entriesOf(layout, paneByPane).map(({ terminals, lead, active }) => [terminals.join(), lead, active]);
  expect(brief(false)).toEqual([
    ["main,b,c", "b", true],
    ["d", "d", false],
  ]);
  expect(brief(true)).toEqual([
    ["main", "main", false],
    ["b", "b", true],
    ["c", "c", false],
    ["d", "d", false],
  ]);
});

test("only main alone is usual", () => {
  expect(isUsual(single())).toBe(true);
  expect(isUsual(single("b"))).toBe(false);
  expect(isUsual(addTab(single(), "b"))).toBe(false);
  expect(isUsual(splitFocused(single(), "row", "b"))).toBe(false);
  expect(terminalsOf(activeTab(three()).tree)).toEqual(["main", "b", "c"]);
});
