import type { Page } from "@playwright/test";
import { tabTo } from "../support/focus.ts";
import { checkNames } from "../support/names.ts";
import { Terminal } from "../support/terminal.ts";
import type { Server } from "../support/server.ts";
import { expect, test } from "../support/test.ts";

interface Described {
  name: string;
  offset: number;
  cols: number;
  rows: number;
}

const tab = (page: Page, name: string) => page.getByRole("tab", { name });
const pane = (page: Page, name: string) => page.getByRole("group", { name: `Terminal ${name}`, exact: true });

const sessionOf = (page: Page) => page.url().split("/").at(-1)!;

/** The session's terminals as the server knows them, by their names. */
async function described(server: Server, page: Page): Promise<Record<string, Described>> {
  const { data } = await server.api<{ data: Described[] }>("GET", `/sessions/${sessionOf(page)}/terminals`);
  return Object.fromEntries(data.map((terminal) => [terminal.name, terminal]));
}

async function choose(page: Page, item: string): Promise<void> {
  await page.getByRole("button", { name: "Menu" }).click();
  await page.locator("#terminal-menu").getByRole("button", { name: item }).click();
}

/** The terminal that has just been opened, with a prompt and the focus. */
async function opened(page: Page, name: string): Promise<Terminal> {
  const terminal = new Terminal(page, name);
  await terminal.ready();
  await expect(pane(page, name).getByRole("textbox")).toBeFocused();
  return terminal;
}

/** The program in the terminal with the focus has the size that is drawn. Returns it. */
async function checkSize(terminal: Terminal): Promise<{ cols: number; rows: number }> {
  const size = await terminal.size();
  await terminal.enter("stty size");
  await terminal.shows(`${size.rows} ${size.cols}`);
  return size;
}

test("a second tab has a shell of its own, opened at the size that there is room for", async ({ terminal, server }) => {
  const { page } = terminal;
  await expect(page.getByRole("tablist")).toHaveCount(0);
  await terminal.enter("who=first");
  await page.getByRole("button", { name: "New tab" }).click();
  const second = await opened(page, "shell-2");
  await expect(tab(page, "shell-2")).toHaveAttribute("aria-selected", "true");
  // Nothing has been resized since it was opened.
  await second.enter("echo who=$who. $(stty size)");
  await second.shows(new RegExp(`^who=\\. ${await second.lines.count()} \\d+$`));
  await checkSize(second);

  await tab(page, "main").click();
  await expect(pane(page, "shell-2")).toBeHidden();
  await expect(pane(page, "main").getByRole("textbox")).toBeFocused();
  const main = new Terminal(page, "main");
  await main.enter("echo who=$who.");
  await main.shows("who=first.");
  await checkSize(main);
  expect(Object.keys(await described(server, page)).sort()).toEqual(["main", "shell-2"]);
});

test("a terminal that is not seen keeps its size until it is", async ({ terminal, server }) => {
  const { page } = terminal;
  await page.keyboard.press("Control+Shift+A");
  const second = await opened(page, "shell-2");
  await tab(page, "main").click();
  await checkSize(new Terminal(page, "main"));
  const before = (await described(server, page))["shell-2"]!;

  page.on("dialog", (dialog) => void dialog.accept());
  for (const again of ["resized", "loaded and resized"]) {
    const rows = await new Terminal(page, "main").lines.count();
    await page.setViewportSize(again === "resized" ? { width: 700, height: 400 } : { width: 800, height: 500 });
    await expect.poll(() => new Terminal(page, "main").lines.count(), again).not.toBe(rows);
    const { cols, rows: kept } = (await described(server, page))["shell-2"]!;
    expect([cols, kept]).toEqual([before.cols, before.rows]);
    if (again === "resized") await page.reload();
  }
  await tab(page, "shell-2").click();
  await expect(pane(page, "shell-2").getByRole("textbox")).toBeFocused();
  await expect.poll(() => second.lines.count()).toBeLessThan(before.rows);
  await checkSize(second);
});

test("a terminal that is not seen is not drawn, and loses nothing", async ({ terminal, server }) => {
  const { page } = terminal;
  const main = new Terminal(page, "main");
  await page.keyboard.press("Control+Shift+A");
  await opened(page, "shell-2");
  await tab(page, "main").click();
  await main.enter("until [ -e /tmp/go ]; do sleep 0.1; done; echo unseen-$((1))");
  await tab(page, "shell-2").click();
  await expect(pane(page, "main")).toBeHidden();
  const { offset } = (await described(server, page))["main"]!;
  await new Terminal(page, "shell-2").enter("touch /tmp/go");
  await expect.poll(async () => (await described(server, page))["main"]!.offset).toBeGreaterThan(offset + 8);
  expect(await main.rows()).not.toContain("unseen-1");
  await tab(page, "main").click();
  await main.shows("unseen-1");
});

test("a name that somebody else has just taken is not opened twice", async ({ terminal, server, complaints }) => {
  complaints.expect(/409/);
  const { page } = terminal;
  await server.api("POST", `/sessions/${sessionOf(page)}/terminals`, { name: "shell-2" });
  await page.keyboard.press("Control+Shift+A");
  await opened(page, "shell-3");
  await expect(pane(page, "shell-2")).toHaveCount(0);
  await page.getByRole("button", { name: "Terminals that are not shown" }).click();
  await page.getByRole("button", { name: "shell-2", exact: true }).click();
  await opened(page, "shell-2");
  await expect(page.getByRole("tab")).toHaveCount(3);
});

test("panes beside and below each other have the sizes that are drawn, also when a divider is moved", async ({ terminal }) => {
  const { page } = terminal;
  const whole = await terminal.size();
  await choose(page, "Split right");
  const right = await opened(page, "shell-2");
  await choose(page, "Split below");
  const below = await opened(page, "shell-3");
  const main = new Terminal(page, "main");
  const sizes = { below: await checkSize(below), right: whole, left: whole };
  await page.keyboard.press("Control+Shift+K");
  sizes.right = await checkSize(right);
  await page.keyboard.press("Control+Shift+K");
  sizes.left = await checkSize(main);
  expect(sizes.left.rows).toBe(whole.rows);
  expect(sizes.left.cols + sizes.right.cols).toBeGreaterThan(whole.cols - 6);
  expect(sizes.left.cols + sizes.right.cols).toBeLessThanOrEqual(whole.cols);
  expect(sizes.right.cols).toBe(sizes.below.cols);
  expect(Math.abs(sizes.right.rows - sizes.below.rows)).toBeLessThanOrEqual(1);

  // Those around the focus can be had by keyboard, from the nearest on.
  await page.keyboard.press("Control+Shift+J");
  for (const name of ["Between shell-2 and shell-3", "Between main and shell-2, shell-3"]) {
    await page.keyboard.press("Control+Shift+D");
    await expect(page.getByRole("separator", { name, exact: true })).toBeFocused();
  }
  await page.keyboard.press("Control+Shift+K");

  // A program that runs hears of it.
  await main.enter(`clear; sh -c 'trap "stty size" WINCH; echo waiting; while :; do sleep 0.1; done'`);
  await main.shows("waiting");
  const divider = page.getByRole("separator", { name: "Between main and shell-2" });
  const place = (await divider.boundingBox())!;
  await page.mouse.move(place.x + 4, place.y + 200);
  await page.mouse.down();
  await page.mouse.move(place.x + 100, place.y + 220, { steps: 5 });
  await page.mouse.move(place.x + 204, place.y + 220, { steps: 5 });
  await page.mouse.up();
  await expect(divider).toHaveAttribute("aria-valuenow", "70");
  await expect.poll(async () => Number((await main.text()).at(-1)?.split(" ")[1])).toBeGreaterThan(sizes.left.cols + 15);
  await pane(page, "shell-3").click();
  expect((await checkSize(below)).cols).toBeLessThan(sizes.below.cols - 15);
});

test("after a reload the layout and every screen are back, and a broken one is ignored", async ({ terminal, server }) => {
  const { page } = terminal;
  await terminal.enter("echo in-main-$((1))");
  await page.keyboard.press("Control+Shift+E");
  const second = await opened(page, "shell-2");
  await second.enter("kept=yes; echo in-second-$((2))");
  await second.shows("in-second-2");
  await page.getByRole("separator").focus();
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Control+Shift+A");
  const third = await opened(page, "shell-3");
  await third.enter("echo in-third-$((3))");
  await third.shows("in-third-3");
  await tab(page, "shell-2").click();
  const main = new Terminal(page, "main");
  await expect
    .poll(async () => {
      const { main, "shell-2": second } = await described(server, page);
      return second!.cols - main!.cols;
    })
    .toBeGreaterThan(15);
  await expect(page.locator(".letterboxed")).toHaveCount(0);
  const before = [await main.rows(), await second.rows()];

  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await expect.poll(async () => [await main.rows(), await second.rows()]).toEqual(before);
  await expect(page.getByRole("separator")).toHaveAttribute("aria-valuenow", "40");
  await expect(pane(page, "shell-2").getByRole("textbox")).toBeFocused();
  await second.enter("echo $kept $(stty size)");
  await second.shows(new RegExp(`^yes ${await second.lines.count()} \\d+$`));
  await tab(page, "shell-3").click();
  await third.shows("in-third-3");

  // What is gone meanwhile is left out.
  const id = sessionOf(page);
  await page.goto(server.origin);
  await server.api("DELETE", `/sessions/${id}/terminals/shell-2`);
  await page.goto(`${server.origin}sessions/${id}`);
  await expect(page.getByRole("tab")).toHaveCount(2);
  await expect(page.getByRole("separator")).toHaveCount(0);
  await third.shows("in-third-3");

  await page.evaluate((id) => localStorage.setItem(`shellport.layout.${id}`, "1 {"), id);
  await page.reload();
  await main.shows("in-main-1");
  await expect(page.getByRole("tablist")).toHaveCount(0);
});

test("closing ends a terminal, after a question when it is used, and only hides main", async ({ terminal, server }) => {
  const { page } = terminal;
  const names = async () => Object.keys(await described(server, page)).sort();
  await terminal.enter("echo still-$((1))");
  await page.keyboard.press("Control+Shift+A");
  const second = await opened(page, "shell-2");
  await page.keyboard.press("Control+Shift+X");
  await expect(page.getByRole("tablist")).toHaveCount(0);
  await expect(pane(page, "main").getByRole("textbox")).toBeFocused();
  await expect.poll(names).toEqual(["main"]);

  await page.keyboard.press("Control+Shift+A");
  await second.ready();
  await second.enter("echo used-$((1))");
  await page.getByRole("button", { name: "Close shell-2" }).click();
  await page.getByRole("dialog", { name: "Close shell-2?" }).getByRole("button", { name: "Cancel" }).click();
  await expect(pane(page, "shell-2").getByRole("textbox")).toBeFocused();
  await second.enter("echo used-$((2))");
  await second.shows("used-2");

  await tab(page, "main").hover();
  await page.getByRole("button", { name: "Close main" }).click();
  await expect(pane(page, "main")).toHaveCount(0);
  expect(await names()).toEqual(["main", "shell-2"]);
  await page.getByRole("button", { name: "Terminals that are not shown" }).click();
  await checkNames(page);
  await page.getByRole("button", { name: "main", exact: true }).click();
  await terminal.shows("still-1");
  await expect(page.getByRole("button", { name: "Terminals that are not shown" })).toHaveCount(0);

  await page.getByRole("button", { name: "Close shell-2" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await expect(page.getByRole("tablist")).toHaveCount(0);
  await expect.poll(names).toEqual(["main"]);
});

test("what has ended stays to be read in its pane, and a new shell can be started in it", async ({ terminal, server }) => {
  const { page } = terminal;
  await page.keyboard.press("Control+Shift+E");
  const second = await opened(page, "shell-2");
  await second.enter("echo last-$((1)); exit 3");
  const card = pane(page, "shell-2").getByRole("alertdialog", { name: "The shell exited with code 3." });
  await expect(card.getByRole("button", { name: "Open a new shell" })).toBeFocused();
  await second.shows("last-1");
  await checkNames(page);
  await page.keyboard.press("Control+Shift+K");
  await terminal.enter("echo main-goes-on-$((1))");
  await new Terminal(page, "main").shows("main-goes-on-1");
  await page.keyboard.press("Control+Shift+J");
  await expect(card.getByRole("button", { name: "Open a new shell" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(card).toBeHidden();
  await opened(page, "shell-2");
  await checkSize(second);

  // When it was closed elsewhere, another takes its place.
  await server.api("DELETE", `/sessions/${sessionOf(page)}/terminals/shell-2`);
  await pane(page, "shell-2").getByRole("button", { name: "Open a new shell" }).click();
  const third = await opened(page, "shell-3");
  await expect(pane(page, "shell-2")).toHaveCount(0);
  await checkSize(third);
  await third.enter("exit");
  await pane(page, "shell-3").getByRole("button", { name: "Close" }).click();
  await expect(page.getByRole("separator")).toHaveCount(0);
  await expect(page.getByRole("textbox", { name: "Terminal input" })).toBeFocused();
});

test("tabs and panes can be used by keyboard alone", async ({ terminal }) => {
  const { page } = terminal;
  await page.keyboard.press("Control+Shift+O");
  const below = await opened(page, "shell-2");
  await page.keyboard.press("Control+Shift+A");
  await opened(page, "shell-3");
  await page.keyboard.press("Control+Shift+H");
  await expect(pane(page, "shell-2").getByRole("textbox")).toBeFocused();
  const rows = await below.lines.count();

  // The terminal takes Tab for itself; the menu is the way out of it, and the tabs come next.
  await page.keyboard.press("Control+Shift+M");
  await tabTo(tab(page, "shell-2"));
  await expect(page.locator("#terminal-menu")).toHaveCount(0);
  await page.keyboard.press("ArrowRight");
  await expect(tab(page, "shell-3")).toBeFocused();
  await expect(pane(page, "shell-3")).toBeVisible();
  await page.keyboard.press("Home");
  await expect(tab(page, "shell-2")).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await expect(pane(page, "shell-2").getByRole("textbox")).toBeFocused();
  await page.keyboard.press("Control+Shift+D");
  const divider = page.getByRole("separator");
  await expect(divider).toBeFocused();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Shift+ArrowUp");
  await expect(divider).toHaveAttribute("aria-valuenow", "38");
  await expect.poll(() => below.lines.count()).toBeGreaterThan(rows);
  await page.keyboard.press("Enter");
  await expect(divider).toHaveAttribute("aria-valuenow", "50");
  await page.keyboard.press("Escape");
  await expect(pane(page, "shell-2").getByRole("textbox")).toBeFocused();
  await page.keyboard.press("Control+Shift+M");
  await tabTo(tab(page, "shell-2"));
  await page.keyboard.press("End");
  await page.keyboard.press("Delete");
  await expect(page.getByRole("tablist")).toHaveCount(0);
  await expect(pane(page, "shell-2").getByRole("textbox")).toBeFocused();
  await page.keyboard.press("Control+Shift+J");
  await page.keyboard.press("Control+Shift+J");
  await page.keyboard.press("Control+Shift+X");
  await expect(page.getByRole("separator")).toHaveCount(0);
  await terminal.enter("echo left-$((1))");
  await terminal.shows("left-1");
});

test("a stopped session is told once, and starts again with main", async ({ terminal }) => {
  const { page } = terminal;
  await page.keyboard.press("Control+Shift+E");
  await opened(page, "shell-2");
  await choose(page, "Stop session");
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  await expect(page.getByRole("alertdialog", { name: "The session is stopped" })).toBeVisible();
  await expect(page.getByRole("alertdialog")).toHaveCount(1);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.getByRole("separator")).toHaveCount(0);
  await terminal.ready();
  await expect(page.getByRole("textbox", { name: "Terminal input" })).toBeFocused();
});

test.describe("a phone", () => {
  test.use({ viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });

  test("panes are shown one at a time, each as a tab", async ({ terminal }) => {
    const { page } = terminal;
    const id = sessionOf(page);
    await page.getByRole("button", { name: "New tab" }).tap();
    const second = await opened(page, "shell-2");
    await checkSize(second);
    await page.evaluate((id) => {
      const tree = { axis: "row", ratio: 0.5, first: "main", second: "shell-2" };
      const layout = { tabs: [{ tree, focused: "shell-2" }], active: 0 };
      localStorage.setItem(`shellport.layout.${id}`, `1 ${JSON.stringify(layout)}`);
    }, id);
    page.on("dialog", (dialog) => void dialog.accept());
    await page.reload();
    await expect(page.getByRole("tab")).toHaveCount(2);
    await expect(page.getByRole("separator")).toHaveCount(0);
    await checkSize(second);
    await tab(page, "main").tap();
    await expect(pane(page, "main")).toBeVisible();
    await expect(pane(page, "shell-2")).toBeHidden();
    await checkSize(new Terminal(page, "main"));
    await checkNames(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  });
});
