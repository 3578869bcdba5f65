import type { Page } from "@playwright/test";
import { checkNames } from "../support/names.ts";
import { Terminal } from "../support/terminal.ts";
import { expect, test } from "../support/test.ts";

async function openSettings(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("button", { name: "Settings…" }).click();
  await expect(page.getByRole("dialog", { name: "Settings" })).toBeVisible();
}

/** How the terminal's text looks. */
function looks(page: Page) {
  return page.locator(".xterm-rows").evaluate((rows) => {
    const { fontFamily, fontSize } = getComputedStyle(rows);
    const row = rows.firstElementChild!.getBoundingClientRect().height;
    return { fontFamily, fontSize, row, background: getComputedStyle(rows.closest(".xterm-screen")!).backgroundColor };
  });
}

test("settings are applied at once, here and in other tabs, and are kept", async ({ terminal, open }) => {
  const { page } = terminal;
  const other = new Terminal(await open(new URL(page.url()).pathname.slice(1)));
  await other.ready();
  await page.bringToFront();
  const before = await looks(page);
  await openSettings(page);
  await checkNames(page);
  const dialog = page.getByRole("dialog", { name: "Settings" });
  await dialog.getByRole("group", { name: "Font size" }).getByRole("button", { name: "Larger" }).click();
  await dialog.getByRole("group", { name: "Line height" }).getByRole("button", { name: "Larger" }).click();
  await dialog.getByLabel("Font", { exact: true }).selectOption("Another…");
  await dialog.getByLabel("Its name").fill("Liberation Mono");
  await dialog.getByLabel("Its name").press("Enter");
  await dialog.getByRole("radio", { name: "Harbour" }).check({ force: true });
  await dialog.getByRole("radio", { name: "Bar", exact: true }).check({ force: true });
  for (const each of [terminal, other]) {
    await expect.poll(async () => (await looks(each.page)).fontSize).toBe("15px");
    const now = await looks(each.page);
    expect(now.fontFamily).toMatch(/^"?Liberation Mono"?, /);
    expect(now.row).toBeGreaterThan(before.row);
    await expect(each.page.locator(".page")).toHaveCSS("background-color", "rgb(26, 34, 48)");
    await expect(each.page.locator(".xterm-cursor")).toHaveClass(/xterm-cursor-(bar|outline)/);
  }
  await page.keyboard.press("Escape");
  await expect(page.locator(".xterm-cursor")).toHaveClass(/xterm-cursor-bar/);
  await terminal.enter("echo focused-$((1))");
  await terminal.shows("focused-1");

  await page.reload();
  await terminal.ready();
  expect((await looks(page)).fontSize).toBe("15px");
  await openSettings(page);
  await dialog.getByRole("button", { name: "Reset all" }).click();
  for (const each of [terminal, other]) await expect.poll(() => looks(each.page)).toEqual(before);
});

test("a setting that is not valid is not taken", async ({ terminal }) => {
  const { page } = terminal;
  const before = await looks(page);
  await page.evaluate(() => {
    const stored = { fontSize: "400", fontFamily: 'x"; background: url(//example.com)', theme: "blue", scrollback: "1e99", localEcho: "" };
    for (const [name, value] of Object.entries(stored)) localStorage.setItem(`shellport.${name}`, value);
  });
  await page.reload();
  await terminal.ready();
  expect(await looks(page)).toEqual(before);
  await openSettings(page);
  await page.getByLabel("Font", { exact: true }).selectOption("Another…");
  await page.getByLabel("Its name").fill("x; y");
  await page.getByLabel("Its name").press("Enter");
  await expect(page.getByLabel("Its name")).toHaveAttribute("aria-invalid", "true");
  const lines = page.getByLabel("Lines kept above the screen");
  await lines.fill("9999999");
  await lines.press("Enter");
  await expect(lines).toHaveValue("10000");
  expect(await looks(page)).toEqual(before);
});

test("as many lines are kept as was chosen", async ({ terminal }) => {
  const { page } = terminal;
  await openSettings(page);
  await page.getByLabel("Lines kept above the screen").fill("5");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Escape");
  await terminal.enter("clear; seq 200");
  await terminal.shows("200");
  const rows = await terminal.lines.count();
  for (let presses = 0; presses < 10; presses += 1) await page.keyboard.press("Shift+PageUp");
  // The last is followed by the prompt.
  await expect.poll(async () => (await terminal.rows())[0]).toBe(String(200 + 1 - rows - 5 + 1));
});

test("the cursor blinks when that was chosen", async ({ terminal }) => {
  const { page } = terminal;
  await openSettings(page);
  const blinking = page.getByLabel("Blinking cursor");
  await expect(blinking).toBeChecked();
  await page.keyboard.press("Escape");
  await expect(page.locator(".xterm-cursor")).toHaveClass(/xterm-cursor-blink/);
  await openSettings(page);
  await blinking.uncheck();
  await page.keyboard.press("Escape");
  await expect(page.locator(".xterm-cursor")).not.toHaveClass(/xterm-cursor-blink/);
});
