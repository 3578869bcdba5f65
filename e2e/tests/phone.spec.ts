import { checkNames } from "../support/names.ts";
import { expect, test } from "../support/test.ts";

test.use({ viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });

test("a phone has room for everything, and keys that its keyboard lacks", async ({ terminal, server }) => {
  const { page } = terminal;
  await checkNames(page);
  await terminal.enter("echo a-$((1))");
  await terminal.shows("a-1");
  await page.getByRole("button", { name: "Up", exact: true }).tap();
  await page.keyboard.press("Enter");
  await expect.poll(async () => (await terminal.text()).filter((row) => row === "a-1").length).toBe(2);
  await page.getByRole("button", { name: "Ctrl" }).tap();
  await page.keyboard.type("d");
  await expect(page.getByRole("alertdialog", { name: "The shell exited." })).toBeVisible();

  for (const path of [page.url(), server.origin]) {
    await page.goto(path);
    await expect(page.getByRole("main")).toBeVisible();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  }
});

test("the bar's keys can be hit, scroll, and hold Ctrl and Alt for one key", async ({ terminal }) => {
  const { page } = terminal;
  const bar = page.getByRole("toolbar", { name: "Keys" });
  const key = (name: string) => bar.getByRole("button", { name, exact: true });
  for (const name of ["Esc", "Tab", "Ctrl", "Alt", "Left", "Home", "End", "Page up", "Page down", "Pipe", "Slash", "Tilde", "Minus", "Delete"]) {
    await key(name).scrollIntoViewIfNeeded();
    const box = await key(name).boundingBox();
    expect(box!.width, name).toBeGreaterThanOrEqual(40);
    expect(box!.height, name).toBeGreaterThanOrEqual(40);
  }
  await terminal.enter("clear; stty -icanon; echo ready; cat >/dev/null");
  await terminal.shows("ready");
  // The kernel shows what it is given.
  await key("Tilde").tap();
  await key("Pipe").tap();
  await terminal.shows("~|");
  await key("Ctrl").tap();
  await key("Left").tap();
  await key("Alt").tap();
  await page.keyboard.type("b");
  await key("End").tap();
  await key("Page up").tap();
  await key("Delete").tap();
  await expect(page.locator(".xterm-helper-textarea")).toBeFocused();
  await terminal.shows("~|^[[1;5D^[b^[[F^[[5~^[[3~");
  await expect(key("Ctrl")).toHaveAttribute("aria-pressed", "false");
  await key("Ctrl").tap();
  await expect(key("Ctrl")).toHaveAttribute("aria-pressed", "true");
  await page.keyboard.type("c");
  await terminal.ready();
});

test("a composed word arrives once", async ({ terminal, context }) => {
  const { page } = terminal;
  const keyboard = await context.newCDPSession(page);
  const compose = async (...steps: string[]) => {
    for (const text of steps) {
      await keyboard.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });
    }
  };
  await terminal.enter("clear; stty -icanon; echo ready; cat >/dev/null");
  await terminal.shows("ready");
  await compose("h", "he", "hé");
  await keyboard.send("Input.insertText", { text: "hé" });
  await terminal.shows("hé");
  // As a suggestion of the keyboard's arrives.
  await keyboard.send("Input.insertText", { text: " wörter" });
  await terminal.shows("hé wörter");
  await compose("に", "にほ");
  await keyboard.send("Input.insertText", { text: "日本" });
  await terminal.shows("hé wörter日本");

  // A keyboard that composes every word does so with one of a single letter, too.
  await page.getByRole("button", { name: "Alt", exact: true }).tap();
  await compose("f");
  await terminal.shows("hé wörter日本^[f");
  await expect(page.locator(".xterm-helper-textarea")).toBeFocused();
  await compose("g", "gh");
  await keyboard.send("Input.insertText", { text: "gh" });
  await terminal.shows("hé wörter日本^[fgh");
  await page.getByRole("button", { name: "Ctrl", exact: true }).tap();
  await compose("c");
  await terminal.ready();
});
