import { expect, test } from "../support/test.ts";

test("a screen reader is given the text of the screen", async ({ terminal }) => {
  const { page } = terminal;
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("button", { name: "Settings…" }).click();
  await page.getByLabel("Screen reader support").check();
  await page.keyboard.press("Escape");
  await page.locator(".xterm-screen").click();
  await terminal.enter("echo read-$((1))-aloud");
  await expect(page.getByRole("list").getByText("read-1-aloud", { exact: true })).toBeAttached();
});

test("without the renderer for tests, the screen is drawn too", async ({ terminal }) => {
  const { page } = terminal;
  await page.evaluate(() => localStorage.removeItem("shellport.renderer"));
  await page.evaluate(() => localStorage.setItem("shellport.screenReader", "true"));
  await page.reload();
  await terminal.connected();
  await page.locator(".xterm-screen").click();
  await terminal.enter("echo drawn-$((1))");
  await expect(page.getByRole("list").getByText("drawn-1", { exact: true })).toBeAttached();
});
