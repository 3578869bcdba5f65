import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { addTab, focus, resize, single, splitFocused, type Layout } from "../src/lib/layout/layout";
import { LayoutMemory, MOST_SESSIONS } from "../src/lib/layout/memory";
import { restore, serialise } from "../src/lib/layout/stored";

/** What browsers have. */
class Store implements Storage {
  readonly entries = new Map<string, string>();
  full = false;

  get length(): number {
    return this.entries.size;
  }

  key = (index: number) => [...this.entries.keys()][index] ?? null;
  getItem = (key: string) => this.entries.get(key) ?? null;
  removeItem = (key: string) => void this.entries.delete(key);
  clear = () => this.entries.clear();
  setItem = (key: string, value: string) => {
    if (this.full) throw new DOMException("full", "QuotaExceededError");
    this.entries.set(key, value);
  };
}

const divided = (): Layout => {
  const layout = splitFocused(splitFocused(single(), "row", "b"), "column", "c");
  return focus(addTab(resize(layout, ["second"], 0.3), "d.1-x"), "b");
};

let store: Store;
let memory: LayoutMemory;

beforeEach(() => {
  vi.useFakeTimers();
  store = new Store();
  memory = new LayoutMemory(store);
});

afterEach(() => vi.useRealTimers());

test("a layout comes back as it was", () => {
  expect(restore(serialise(divided()))).toEqual(divided());
  memory.save("s", divided());
  expect(new LayoutMemory(store).load("s")).toEqual(divided());
  expect(memory.load("another")).toBeNull();
});

test("what everybody starts with is not kept", () => {
  memory.save("s", divided());
  memory.save("s", single());
  expect(store.length).toBe(0);
});

test("the layouts that were changed longest ago are forgotten, and nothing else of the page's", () => {
  store.setItem("shellport.theme", "dark");
  for (let index = 0; index <= MOST_SESSIONS; index += 1) {
    vi.setSystemTime(1_000_000 + index);
    memory.save(`s${index}`, divided());
    // The first is used all the time.
    memory.save("s0", divided());
  }
  expect(store.length).toBe(MOST_SESSIONS + 1);
  expect(memory.load("s0")).not.toBeNull();
  expect(memory.load("s1")).toBeNull();
  expect(store.getItem("shellport.theme")).toBe("dark");
});

test("a browser without room is no reason to fail", () => {
  store.full = true;
  memory.save("s", divided());
  expect(memory.load("s")).toBeNull();
});

const tab = (tree: unknown, focused = "main") => JSON.stringify({ tabs: [{ tree, focused }], active: 0 });
const deep = Array.from({ length: 40 }).reduce<unknown>(
  (second, _, index) => ({ axis: "row", ratio: 0.5, first: `t${index}`, second }),
  "main",
);

test.each([
  ["nothing", ""],
  ["no JSON", "{tabs"],
  ["null", "null"],
  ["no tabs", '{"tabs":[],"active":0}'],
  ["a tab that is none", '{"tabs":[7],"active":0}'],
  ["no tab that is shown", '{"tabs":[{"tree":"main","focused":"main"}],"active":1}'],
  ["half a place", '{"tabs":[{"tree":"main","focused":"main"}],"active":0.5}'],
  ["a place that is text", '{"tabs":[{"tree":"main","focused":"main"}],"active":"0"}'],
  ["the focus elsewhere", tab("b")],
  ["a name that is none", tab("a/b", "a/b")],
  ["a terminal twice", tab({ axis: "row", ratio: 0.5, first: "main", second: "main" })],
  ["an axis that is none", tab({ axis: "x", ratio: 0.5, first: "main", second: "b" })],
  ["no ratio", tab({ axis: "row", first: "main", second: "b" })],
  ["half a split", tab({ axis: "row", ratio: 0.5, first: "main" })],
  ["too many terminals", tab(deep)],
  ["too long a text", `${tab("main")}${" ".repeat(20_000)}`],
])("%s is no layout", (_name, text) => {
  expect(restore(text)).toBeNull();
  store.setItem("shellport.layout.s", `1 ${text}`);
  expect(memory.load("s")).toBeNull();
});

test("a ratio out of bounds is brought into them", () => {
  const layout = restore(tab({ axis: "row", ratio: 12, first: "main", second: "b" }));
  expect(layout?.tabs[0]?.tree).toMatchObject({ ratio: 0.9 });
});
